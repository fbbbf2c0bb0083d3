//! How do I open a WebSocket over any transport, as a client?
//! `cargo run --example websocket_client -- ws://localhost:3000/echo hello`, or `wss://..`.
//!
//! It sends each of the texts, prints an answer to each, and closes the WebSocket. With `--http2`,
//! the WebSocket is a stream of HTTP/2; over `wss`, the server has to agree by ALPN.
//! `--features monoio` adds `--transport monoio`; glommio's connector works in the same way.
use anyport::{
    Connection, Runtime,
    connect::HappyEyeballs,
    error::BoxError,
    runtime::{TokioPerCore, block_on},
    tls::{TlsClientConfig, TlsConnectorExt},
    transport::{Connector, tcp::TcpConnector},
    ws::{ClientHandshake, Config, Deflate, Message},
};
use clap::{Parser, ValueEnum};
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Sends texts over a WebSocket, and prints the answers")]
struct Options {
    /// The address: ws://HOST:PORT/PATH, or wss:// for TLS.
    address: String,
    texts: Vec<String>,
    #[arg(long, value_enum, default_value = "tcp")]
    transport: Transport,
    /// Uses HTTP/2.
    #[arg(long)]
    http2: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Transport {
    /// TCP on tokio.
    Tcp,
    /// TCP on monoio: io_uring, or epoll where that is refused.
    #[cfg(all(feature = "monoio", target_os = "linux"))]
    Monoio,
}

/// Adds TLS if the address asks for it, with the certificate authorities of the system.
async fn run<R: Runtime>(connector: impl Connector, options: Options) -> Result<(), BoxError> {
    let config = Config::default().with_deflate(Deflate::default());
    let mut handshake = ClientHandshake::new(&options.address)?
        .with_config(config)
        .with_deadline(Duration::from_secs(10));
    if options.http2 {
        handshake = handshake.with_http2_prior_knowledge();
    }
    let (host, port) = (handshake.host().to_owned(), handshake.port());
    let timer = R::current().timer();
    if !handshake.is_secure() {
        let happy_eyeballs = HappyEyeballs::new(connector, timer);
        let connection = happy_eyeballs.connect(&host, port).await?;
        return talk::<R>(connection, handshake, options.texts).await;
    }
    let alpn = if options.http2 { "h2" } else { "http/1.1" };
    let connector = connector.tls(TlsClientConfig::platform().with_alpn([alpn]))?;
    let happy_eyeballs = HappyEyeballs::new(connector, timer);
    let connection = happy_eyeballs.connect(&host, port).await?;
    talk::<R>(connection, handshake, options.texts).await
}

async fn talk<R: Runtime>(
    connection: impl Connection,
    handshake: ClientHandshake,
    texts: Vec<String>,
) -> Result<(), BoxError> {
    let (mut socket, _) = handshake.open(connection, R::current().timer()).await?;
    for text in texts {
        socket.send(Message::text(text)).await?;
        match socket.recv().await.transpose()? {
            Some(Message::Text(answer)) => println!("{answer}"),
            other => return Err(format!("expected a text, received {other:?}").into()),
        }
    }
    Ok(socket.close(None).await?)
}

/// On a thread of the transport's runtime.
fn on_worker(options: Options) -> Result<(), BoxError> {
    match options.transport {
        Transport::Tcp => {
            block_on::<TokioPerCore, _>(None, || run::<TokioPerCore>(TcpConnector::new(), options))
        }
        #[cfg(all(feature = "monoio", target_os = "linux"))]
        Transport::Monoio => {
            use anyport::transport::monoio::{MonoioConnector, MonoioPerCore};
            block_on::<MonoioPerCore, _>(None, || {
                run::<MonoioPerCore>(MonoioConnector::new(), options)
            })
        }
    }?
}

fn main() -> std::process::ExitCode {
    anyport_examples::exit_code(on_worker(Options::parse()))
}
