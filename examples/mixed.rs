//! How do I serve on two runtimes from one server, with one drain?
//! `cargo run --example mixed --features monoio`.
//!
//! The public port is served by monoio, with a thread and an io_uring per core. The admin socket is
//! served by the tokio of `main`, and only this user may connect to it. Limits, timeouts and the
//! drain cover both.
//!
//! ```text
//! curl http://127.0.0.1:3000/
//! curl --unix-socket admin.sock http://localhost/
//! ```
//!
//! SIGTERM or Ctrl-C drains the server. Without the feature `monoio`, a tokio per core serves the
//! public port.
use anyport::{
    Body, Request, Response, Result, Server, Unix, runtime::shutdown, serve_with, service_fn,
};
use clap::Parser;
use std::{
    convert::Infallible,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

#[derive(Parser)]
#[command(about = "Serves a public port on monoio and an admin socket on tokio, with one drain")]
struct Options {
    /// The public address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The file of the admin socket.
    #[arg(long, value_name = "PATH", default_value = "admin.sock")]
    admin: PathBuf,
}

/// State that both apps share must be `Sync`, because they run on different threads.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    REQUESTS.fetch_add(1, Relaxed);
    Ok(Response::new("Hello, World!\n".into()))
}

async fn admin(_: Request<Body>) -> Result<Response<String>, Infallible> {
    let requests = REQUESTS.load(Relaxed);
    Ok(Response::new(format!("Public requests: {requests}\n")))
}

fn server(options: &Options) -> Server {
    public(&options.listen).and(
        Unix::bind(&options.admin).with_mode(0o600),
        service_fn(admin),
    )
}

#[cfg(all(feature = "monoio", target_os = "linux"))]
fn public(addr: &str) -> Server {
    println!("public: monoio, admin: tokio");
    serve_with(anyport::Monoio::bind(addr), service_fn(hello))
}

#[cfg(not(all(feature = "monoio", target_os = "linux")))]
fn public(addr: &str) -> Server {
    println!(
        "public: tokio per core, admin: tokio (monoio is not compiled in: on Linux, `cargo run --example mixed --features monoio`)"
    );
    serve_with(anyport::Tcp::bind(addr).per_core(), service_fn(hello))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let server = server(options).with_graceful_shutdown(shutdown::signal());
    let running = server.start()?;
    anyport_examples::print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
