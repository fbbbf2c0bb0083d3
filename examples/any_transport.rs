//! How do I serve the same app over any transport?
//! `cargo run --example any_transport -- --transport tcp-per-core --listen 127.0.0.1:3000`.
//!
//! SIGTERM or Ctrl-C drains the server and prints a report. A second signal ends it at once.
use anyport::{
    Body, Request, Response, Result, Server, Tcp, Unix,
    runtime::shutdown,
    serve_with, service_fn,
    tls::{TlsConfig, TlsExt},
};
use anyport_examples::{exit_code, not_compiled_in, print_curl};
use clap::{Parser, ValueEnum};
use std::{convert::Infallible, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves `Hello, World!` over the transport of your choice")]
struct Options {
    /// The transport.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// HOST:PORT (port 0 is any free one), or a path [default: 127.0.0.1:3000 or hello.sock]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The number of workers [default: that of the transport]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// TCP on a multi-threaded tokio.
    Tcp,
    /// TCP on a single-threaded tokio per core.
    TcpPerCore,
    /// Unix sockets on a multi-threaded tokio.
    Unix,
    /// Unix sockets on a single-threaded tokio per core.
    UnixPerCore,
    /// TLS over TCP, with a certificate for development.
    Tls,
    /// TLS over Unix sockets, with a certificate for development.
    TlsUnix,
    /// TCP on monoio: io_uring, or epoll where that is refused (feature `monoio`).
    Monoio,
    /// TLS over TCP on monoio (feature `monoio`).
    TlsMonoio,
    /// TCP on glommio: io_uring (feature `glommio`).
    Glommio,
    /// TLS over TCP on glommio (feature `glommio`).
    TlsGlommio,
}

/// Only one expression changes with the transport.
fn server(options: &Options) -> Result<Server> {
    let app = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("Hello, World!")))
    });
    let addr = options.listen.as_deref().unwrap_or("127.0.0.1:3000");
    let path = options.listen.as_deref().unwrap_or("hello.sock");
    let tls = || TlsConfig::self_signed(["localhost", "127.0.0.1"]);
    Ok(match options.transport {
        Transport::Tcp => serve_with(Tcp::bind(addr), app),
        Transport::TcpPerCore => serve_with(Tcp::bind(addr).per_core(), app),
        Transport::Unix => serve_with(Unix::bind(path), app),
        Transport::UnixPerCore => serve_with(Unix::bind(path).per_core(), app),
        Transport::Tls => serve_with(Tcp::bind(addr).tls(tls()), app),
        Transport::TlsUnix => serve_with(Unix::bind(path).tls(tls()), app),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => serve_with(anyport::Monoio::bind(addr), app),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::TlsMonoio => serve_with(anyport::Monoio::bind(addr).tls(tls()), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::Glommio => serve_with(anyport::Glommio::bind(addr), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::TlsGlommio => serve_with(anyport::Glommio::bind(addr).tls(tls()), app),
        #[allow(unreachable_patterns, reason = "monoio may be compiled in")]
        Transport::Monoio | Transport::TlsMonoio => return Err(not_compiled_in("monoio")),
        #[allow(unreachable_patterns, reason = "glommio may be compiled in")]
        Transport::Glommio | Transport::TlsGlommio => return Err(not_compiled_in("glommio")),
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    exit_code(run(&Options::parse()).await)
}

async fn run(options: &Options) -> Result<()> {
    let mut server = server(options)?.with_graceful_shutdown(shutdown::signal());
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let running = server.start()?;
    use Transport::{Tls, TlsGlommio, TlsMonoio, TlsUnix};
    let tls = matches!(options.transport, Tls | TlsUnix | TlsMonoio | TlsGlommio);
    print_curl(&running, if tls { "https" } else { "http" });
    running.wait().await?;
    Ok(())
}
