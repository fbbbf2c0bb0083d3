//! How do I serve two runtimes from one server? `cargo run --example mixed --features monoio`.
//!
//! The public port is on monoio, which has a thread and an io_uring for each core; the admin socket
//! is on the tokio of `main`, and only this user may connect to it. Limits and timeouts hold for
//! both, and one drain waits for both.
//!
//! ```text
//! curl http://127.0.0.1:3000/
//! curl --unix-socket admin.sock http://localhost/
//! ```
//!
//! SIGTERM or Ctrl-C drains it. Without the feature `monoio`, the public port is on tokio, one per
//! core.
use anyport::{
    Body, Endpoint, Request, Response, Result, Server, Unix, serve_with, service_fn, shutdown,
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
    /// Where the public listens: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// The admin socket's file.
    #[arg(long, value_name = "PATH", default_value = "admin.sock")]
    admin: PathBuf,
}

/// What one part tells the other has to be `Sync`: they're on threads of their own.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

async fn hello(_: Request<Body>) -> Result<Response<String>, Infallible> {
    ANSWERED.fetch_add(1, Relaxed);
    Ok(Response::new("Hello, World!\n".into()))
}

async fn admin(_: Request<Body>) -> Result<Response<String>, Infallible> {
    let answered = ANSWERED.load(Relaxed);
    Ok(Response::new(format!(
        "The public has been answered {answered} times\n"
    )))
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
        "public: tokio per core, admin: tokio (monoio isn't compiled in: on Linux, `cargo run --example mixed --features monoio` does that)"
    );
    serve_with(anyport::Tcp::bind(addr).per_core(), service_fn(hello))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<()> {
    let server = server(options).with_graceful_shutdown(shutdown::signal());
    let running = server.start()?;
    for endpoint in running.endpoints() {
        let how = match endpoint {
            Endpoint::Unix(_) => format!(
                "--unix-socket {} http://localhost/",
                options.admin.display()
            ),
            _ => format!("http://{endpoint}/"),
        };
        println!("listening on {endpoint} (try: curl {how})");
    }
    println!("{}", running.wait().await?);
    Ok(())
}
