//! The same app over any transport:
//! `cargo run --example hello -- --transport tcp-per-core --listen 127.0.0.1:3000`.
//!
//! Answers every path with `Hello, World!`. SIGTERM or Ctrl-C drains it and prints what became of
//! the connections; a second one ends it at once.
use anyport::{
    Body, Endpoint, Error, Memory, Request, Response, Result, Server, Tcp, TlsConfig, TlsExt,
    UnixName, header, memory::Connector, serve_with, service_fn, shutdown,
};
use clap::{Parser, ValueEnum};
use std::{convert::Infallible, io, process::ExitCode, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Parser)]
#[command(about = "Serves `Hello, World!` over the transport of your choice")]
struct Options {
    /// What carries the bytes.
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Where to listen: HOST:PORT (port 0 is any free one), or a path [default: 127.0.0.1:3000 or
    /// hello.sock]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// How many workers; by default as many as suit the transport.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Transport {
    /// TCP on tokio, work stealing.
    Tcp,
    /// TCP on tokio, one runtime and one socket per core.
    TcpPerCore,
    /// Unix sockets on tokio, work stealing.
    Unix,
    /// Unix sockets on tokio, one runtime per core.
    UnixPerCore,
    /// Inside this process, where nobody else can connect: asks itself once, prints the answer, and
    /// ends.
    Memory,
    /// TLS over TCP on tokio, with a certificate for development.
    Tls,
    /// TLS over Unix sockets on tokio, with a certificate for development.
    TlsUnix,
    /// TCP on monoio: io_uring, or epoll where that's refused (feature `monoio`).
    Monoio,
    /// TLS over TCP on monoio (feature `monoio`).
    TlsMonoio,
    /// TCP on glommio: io_uring (feature `glommio`).
    Glommio,
    /// TLS over TCP on glommio (feature `glommio`).
    TlsGlommio,
    /// TCP on monoio if it's compiled in and io_uring may be used, otherwise on tokio per core;
    /// says which, and why.
    Auto,
}

impl Transport {
    fn is_encrypted(self) -> bool {
        matches!(
            self,
            Self::Tls | Self::TlsUnix | Self::TlsMonoio | Self::TlsGlommio
        )
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
fn server(options: &Options, memory: &Memory) -> Result<Server> {
    let (listen, app) = (options.listen.as_deref(), service_fn(hello));
    let addr = listen.unwrap_or("127.0.0.1:3000");
    #[cfg(unix)]
    let path = listen.unwrap_or("hello.sock");
    let tls = || TlsConfig::self_signed(["localhost", "127.0.0.1"]);
    Ok(match options.transport {
        Transport::Tcp => serve_with(Tcp::bind(addr), app),
        Transport::TcpPerCore => serve_with(Tcp::bind(addr).per_core(), app),
        Transport::Memory if listen.is_some() => {
            return Err(Error::config("memory has no address: leave out `--listen`"));
        }
        Transport::Memory => serve_with(memory.clone(), app),
        Transport::Tls => serve_with(Tcp::bind(addr).tls(tls()), app),
        #[cfg(unix)]
        Transport::Unix => serve_with(anyport::Unix::bind(path), app),
        #[cfg(unix)]
        Transport::UnixPerCore => serve_with(anyport::Unix::bind(path).per_core(), app),
        #[cfg(unix)]
        Transport::TlsUnix => serve_with(anyport::Unix::bind(path).tls(tls()), app),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => serve_with(anyport::Monoio::bind(addr), app),
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::TlsMonoio => serve_with(anyport::Monoio::bind(addr).tls(tls()), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::Glommio => serve_with(anyport::Glommio::bind(addr), app),
        #[cfg(all(feature = "glommio", target_os = "linux"))]
        Transport::TlsGlommio => serve_with(anyport::Glommio::bind(addr).tls(tls()), app),
        Transport::Auto => auto(addr),
        #[allow(
            unreachable_patterns,
            reason = "with all features on, on Linux, there's nothing left"
        )]
        missing => return Err(Error::config(why_not(missing))),
    })
}

/// io_uring, if it's to be had.
fn auto(addr: &str) -> Server {
    let app = service_fn(hello);
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    let refused = {
        use anyport::{Monoio, monoio::Driver};
        match Driver::IoUring.check() {
            Ok(()) => {
                println!("transport: monoio, since io_uring may be used here");
                return serve_with(Monoio::bind(addr).with_driver(Driver::IoUring), app);
            }
            Err(error) => error.to_string(),
        }
    };
    #[cfg(not(all(feature = "monoio", target_os = "linux")))]
    let refused = why_not(Transport::Monoio);
    println!("transport: tcp-per-core ({refused})");
    serve_with(Tcp::bind(addr).per_core(), app)
}

/// Why this transport isn't compiled in.
fn why_not(transport: Transport) -> String {
    let name = transport
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned());
    let feature = match transport {
        Transport::Monoio | Transport::TlsMonoio => "monoio",
        Transport::Glommio | Transport::TlsGlommio => "glommio",
        _ => return format!("{name} needs Unix"),
    };
    match cfg!(target_os = "linux") {
        true => {
            format!(
                "{name} isn't compiled in: `cargo run --example hello --features {feature}` does that"
            )
        }
        false => format!("{name} needs Linux"),
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
    let memory = Memory::new();
    let mut server = server(options, &memory)?.with_graceful_shutdown(shutdown::signal());
    if let Some(workers) = options.workers {
        server = server.workers(workers);
    }
    let running = server.start()?;
    if options.transport == Transport::Memory {
        println!(
            "listening on {} (for this process alone)",
            running.endpoints()[0]
        );
        let answer = ask(&memory.connector()).await;
        println!("{}", answer.map_err(|e| Error::start("ask itself", e))?);
        println!("{}", running.shutdown(Duration::from_secs(1)).await?);
        return Ok(());
    }
    for endpoint in running.endpoints() {
        println!(
            "listening on {endpoint} (try: curl {})",
            address(endpoint, options.transport)
        );
    }
    println!("{}", running.wait().await?);
    Ok(())
}

/// The whole answer to one request, as it comes: a connection in memory is a stream of bytes like
/// any other.
async fn ask(connector: &Connector) -> io::Result<String> {
    let mut stream = connector.connect()?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
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
