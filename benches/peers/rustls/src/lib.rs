//! The reference for TLS: hyper by hand over tokio-rustls.
//!
//! The defaults of rustls and hyper, but for what makes it comparable: ring does the cryptography,
//! and tickets hold the sessions.

use anyport_bench_child::{Address, announce, end_with_parent, listen};
use clap::Parser;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use peer_hyper::respond;
use std::ffi::OsString;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

#[derive(Debug, Parser)]
#[command(about = "Serves the app of the bench, until its stdin ends")]
struct Options {
    /// Where to listen: tls:IP:PORT of this machine; port 0 is any free one.
    #[arg(long, value_name = "ADDR")]
    listen: Address,
    /// Offer HTTP/2 by ALPN, instead of HTTP/1.1.
    #[arg(long)]
    http2: bool,
}

/// Serves, as the arguments say; the first one is the program's name.
///
/// # Errors
///
/// When it cannot listen.
pub fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    serve(&Options::parse_from(arguments))
}

fn serve(options: &Options) -> anyhow::Result<()> {
    let Address::Tls(address) = options.listen else {
        anyhow::bail!(
            "this peer listens on tls:IP:PORT, not on {}",
            options.listen
        );
    };
    end_with_parent()?;
    let acceptor = TlsAcceptor::from(peer_tls::config(options.http2)?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        announce(&Address::Tls(listener.local_addr()?))?;
        loop {
            let (stream, _) = listener.accept().await?;
            // Not the default of any operating system: an answer in two writes would wait for the
            // peer's ACK.
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            if options.http2 {
                tokio::spawn(async move {
                    if let Some(stream) = shake_hands(&acceptor, stream).await {
                        serve_http2(stream).await;
                    }
                });
            } else {
                tokio::spawn(async move {
                    if let Some(stream) = shake_hands(&acceptor, stream).await {
                        serve_http1(stream).await;
                    }
                });
            }
        }
    })
}

/// In a box, since the task would have room for the unfinished session beside the finished one to
/// its end.
async fn shake_hands(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Option<Box<TlsStream<TcpStream>>> {
    // A client that closes, or a failed handshake, is no error of the server.
    Box::pin(acceptor.accept(stream)).await.ok().map(Box::new)
}

async fn serve_http1(stream: Box<TlsStream<TcpStream>>) {
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .with_upgrades()
        .await;
}

async fn serve_http2(stream: Box<TlsStream<TcpStream>>) {
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service_fn(respond))
        .await;
}
