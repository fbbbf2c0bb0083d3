//! TLS, by tokio-rustls over monoio-compat's wrapper, so that the library is that of
//! `hyper-rustls`. monoio-rustls has monoio's own traits, and hyper would need the wrapper above
//! it.

use crate::{next, serve_http1, serve_http2};
use anyport_bench_child::{Address, announce};
use hyper_util::rt::TokioIo;
use monoio::net::{TcpListener, TcpStream};
use monoio_compat::StreamWrapper;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

type Stream = TokioIo<Box<TlsStream<StreamWrapper<TcpStream>>>>;

pub(crate) async fn accept(listener: &TcpListener, http2: bool) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(peer_tls::config(http2)?);
    announce(&Address::Tls(listener.local_addr()?))?;
    loop {
        let stream = next(listener).await?;
        let acceptor = acceptor.clone();
        if http2 {
            monoio::spawn(async move {
                if let Some(stream) = shake_hands(&acceptor, stream).await {
                    serve_http2(stream).await;
                }
            });
        } else {
            monoio::spawn(async move {
                if let Some(stream) = shake_hands(&acceptor, stream).await {
                    serve_http1(stream).await;
                }
            });
        }
    }
}

/// In a box, since the task would have room for the unfinished session beside the finished one to
/// its end.
async fn shake_hands(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<Stream> {
    // A client that closes, or a failed handshake, is no error of the server.
    let finished = Box::pin(acceptor.accept(StreamWrapper::new(stream))).await;
    finished.ok().map(|stream| TokioIo::new(Box::new(stream)))
}
