//! TLS, by tokio-rustls over the same adapter that hyper has without it.

use crate::{bind, next, serve_http1, serve_http2};
use anyport_bench_child::{Address, announce};
use glommio::net::TcpStream;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _};

type Stream = TokioIo<Box<TlsStream<Compat<TcpStream>>>>;

pub(crate) async fn accept(address: SocketAddr, http2: bool) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(peer_tls::config(http2)?);
    let (listener, address) = bind(address)?;
    announce(&Address::Tls(address))?;
    loop {
        let stream = next(&listener).await?;
        let acceptor = acceptor.clone();
        if http2 {
            let served = async move {
                if let Some(stream) = shake_hands(&acceptor, stream).await {
                    serve_http2(stream).await;
                }
            };
            glommio::spawn_local(served).detach();
        } else {
            let served = async move {
                if let Some(stream) = shake_hands(&acceptor, stream).await {
                    serve_http1(stream).await;
                }
            };
            glommio::spawn_local(served).detach();
        }
    }
}

/// In a box, since the task would have room for the unfinished session beside the finished one to
/// its end.
async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<Stream> {
    // A client that closes, or a failed handshake, is no error of the server.
    let finished = Box::pin(acceptor.accept(stream.compat())).await;
    finished.ok().map(|stream| TokioIo::new(Box::new(stream)))
}
