//! How do I use io_uring where the kernel allows it, and tokio elsewhere?
//! `cargo run --example io_uring_fallback --features monoio`.
//!
//! Container runtimes often refuse io_uring. The program prints which transport it has chosen, and
//! why. SIGTERM or Ctrl-C drains the server.
use anyport::{
    Body, Request, Response, Result, Server, Tcp, runtime::shutdown, serve_with, service_fn,
};
use anyport_examples::{exit_code, print_curl};
use clap::Parser;
use std::{convert::Infallible, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves on io_uring, or on tokio where io_uring is refused")]
struct Options {
    /// The address: HOST:PORT; port 0 is any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
}

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("Hello, World!")))
}

#[cfg(all(feature = "monoio", target_os = "linux"))]
fn server(addr: &str) -> Server {
    use anyport::{Monoio, transport::monoio::Driver};
    match Driver::IoUring.check() {
        Ok(()) => {
            println!("transport: monoio, since io_uring may be used here");
            serve_with(
                Monoio::bind(addr).with_driver(Driver::IoUring),
                service_fn(hello),
            )
        }
        Err(refused) => on_tokio(addr, &refused.to_string()),
    }
}

#[cfg(not(all(feature = "monoio", target_os = "linux")))]
fn server(addr: &str) -> Server {
    let missing = anyport_examples::not_compiled_in("monoio");
    on_tokio(addr, &missing.to_string())
}

fn on_tokio(addr: &str, reason: &str) -> Server {
    println!("transport: tcp-per-core ({reason})");
    serve_with(Tcp::bind(addr).per_core(), service_fn(hello))
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let server = server(&options.listen).with_graceful_shutdown(shutdown::signal());
    let running = server.start()?;
    print_curl(&running, "http");
    running.wait().await?;
    Ok(())
}
