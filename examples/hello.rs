//! The same app over any transport: `cargo run --example hello -- --transport tcp-per-core --listen 127.0.0.1:3000`.
//!
//! Answers every path with `Hello, World!`. SIGTERM or Ctrl-C drains it and prints what became of the connections; a second one
//! ends it at once.
use anyport::{
    Body, Endpoint, Request, Response, Result, Server, Tcp, TlsConfig, TlsExt, UnixName, header, serve_with,
    service_fn, shutdown,
};
use clap::{Parser, ValueEnum};
use std::{convert::Infallible, process::ExitCode};

#[derive(Parser)]
#[command(about = "Serves `Hello, World!` over the transport of your choice")]
struct Options {
    /// What carries the bytes.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Where to listen: HOST:PORT (port 0 is any free one), or a path [default: 127.0.0.1:3000 or hello.sock]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// How many workers; by default as many as suit the transport.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// TCP on tokio, work stealing.
    Tcp,
    /// TCP on tokio, one runtime and one socket per core.
    TcpPerCore,
    /// Unix sockets on tokio, work stealing.
    #[cfg(unix)]
    Unix,
    /// Unix sockets on tokio, one runtime per core.
    #[cfg(unix)]
    UnixPerCore,
    /// TLS over TCP on tokio, with a certificate for development.
    Tls,
    /// TLS over Unix sockets on tokio, with a certificate for development.
    #[cfg(unix)]
    TlsUnix,
}

impl Transport {
    fn is_encrypted(self) -> bool {
        match self {
            Self::Tls => true,
            #[cfg(unix)]
            Self::TlsUnix => true,
            _ => false,
        }
    }
}

/// The app: any tower service would do.
async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::from("Hello, World!"));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain"),
    );
    Ok(response)
}

/// The one line that changes with the transport.
fn server(options: &Options) -> Server {
    let (listen, app) = (options.listen.as_deref(), service_fn(hello));
    let addr = listen.unwrap_or("127.0.0.1:3000");
    #[cfg(unix)]
    let path = listen.unwrap_or("hello.sock");
    let tls = || TlsConfig::self_signed(["localhost", "127.0.0.1"]);
    match options.transport {
        Transport::Tcp => serve_with(Tcp::bind(addr), app),
        Transport::TcpPerCore => serve_with(Tcp::bind(addr).per_core(), app),
        #[cfg(unix)]
        Transport::Unix => serve_with(anyport::Unix::bind(path), app),
        #[cfg(unix)]
        Transport::UnixPerCore => serve_with(anyport::Unix::bind(path).per_core(), app),
        Transport::Tls => serve_with(Tcp::bind(addr).tls(tls()), app),
        #[cfg(unix)]
        Transport::TlsUnix => serve_with(anyport::Unix::bind(path).tls(tls()), app),
    }
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
    let mut server = server(options).with_graceful_shutdown(shutdown::signal());
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let running = server.start()?;
    for endpoint in running.endpoints() {
        println!(
            "listening on {endpoint} (try: curl {})",
            address(endpoint, options.transport)
        );
    }
    println!("{}", running.wait().await?);
    Ok(())
}

/// How curl is told.
fn address(endpoint: &Endpoint, transport: Transport) -> String {
    let scheme = if transport.is_encrypted() {
        "-k https"
    } else {
        "http"
    };
    match endpoint {
        Endpoint::Unix(UnixName::Path(path)) => {
            format!("--unix-socket {} {scheme}://localhost/", path.display())
        }
        other => format!("{scheme}://{other}/"),
    }
}
