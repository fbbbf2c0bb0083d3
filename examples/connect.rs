//! How do I connect to a host by its name, over any transport, as a client?
//! `cargo run --example connect -- example.com 80`, or `-- --transport tls example.com 443`.
//!
//! It makes a request with hyper's client, or sends raw bytes (`--send`), and prints the answer.
//! `--features monoio` adds `--transport monoio`; glommio's connector works in the same way.
use anyport::{
    Connection, Runtime,
    connect::HappyEyeballs,
    error::BoxError,
    runtime::{TokioIo, TokioPerCore, block_on},
    tls::{TlsClientConfig, TlsConnectorExt},
    transport::{Connector, tcp::TcpConnector},
};
use clap::{Parser, ValueEnum};
use http_body_util::BodyExt;
use hyper::{Request, client::conn::http1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Parser)]
#[command(about = "Connects to a host, and prints what it answers")]
struct Options {
    /// A name or an IP address, IPv6 in brackets.
    host: String,
    port: u16,
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Sends this text instead of a request.
    #[arg(long, value_name = "TEXT")]
    send: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// TCP on tokio.
    Tcp,
    /// TLS over TCP on tokio, with the certificate authorities of the system.
    Tls,
    /// TCP on monoio: io_uring, or epoll where that is refused.
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    Monoio,
}

async fn run<R: Runtime, C: Connector>(connector: C, options: Options) -> Result<(), BoxError> {
    let happy_eyeballs = HappyEyeballs::new(connector, R::current().timer());
    let connection = happy_eyeballs.connect(&options.host, options.port).await?;
    eprintln!("connected to {}", connection.info().peer());
    match options.send {
        Some(text) => send(connection, &text).await,
        None => get(connection, &format!("{}:{}", options.host, options.port)).await,
    }
}

/// Raw bytes: `TokioIo` gives the connection tokio's I/O traits.
async fn send(connection: impl Connection, text: &str) -> Result<(), BoxError> {
    let mut stream = TokioIo::new(connection);
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{answer}");
    Ok(())
}

/// HTTP: hyper takes the connection as it is.
async fn get(connection: impl Connection, host: &str) -> Result<(), BoxError> {
    let (mut client, http) = http1::handshake(connection).await?;
    let request = Request::get("/").header("host", host).body(String::new())?;
    let answer = async move {
        let response = client.send_request(request).await?;
        let (status, body) = (response.status(), response.into_body().collect().await?);
        println!("{status}\n{}", String::from_utf8_lossy(&body.to_bytes()));
        Ok(())
    };
    futures_util::future::try_join(answer, http).await?;
    Ok(())
}

/// On a thread of the transport's runtime.
fn on_worker(options: Options) -> Result<(), BoxError> {
    let tcp = TcpConnector::new();
    match options.transport {
        Transport::Tcp => {
            block_on::<TokioPerCore, _>(None, || run::<TokioPerCore, _>(tcp, options))
        }
        Transport::Tls => {
            let tls = tcp.tls(TlsClientConfig::platform())?;
            block_on::<TokioPerCore, _>(None, || run::<TokioPerCore, _>(tls, options))
        }
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => {
            use anyport::transport::monoio::{MonoioConnector, MonoioPerCore};
            let monoio = MonoioConnector::new();
            block_on::<MonoioPerCore, _>(None, || run::<MonoioPerCore, _>(monoio, options))
        }
    }?
}

fn main() -> std::process::ExitCode {
    anyport_examples::exit_code(on_worker(Options::parse()))
}
