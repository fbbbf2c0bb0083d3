//! A server of HTTP/2 in a few lines.

use crate::server::config;
use anyport_bench_load::Address;
use bytes::Bytes;
use http::{Response, StatusCode};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

/// What's answered to a request with this body on the connection with this number; nothing if it's never answered.
pub(crate) type Answer = fn(usize, Bytes) -> Option<(StatusCode, Bytes)>;

pub(crate) fn hello(_: usize, _: Bytes) -> Option<(StatusCode, Bytes)> {
    Some((StatusCode::OK, Bytes::from_static(b"Hello, World!")))
}

/// A server over one of the transports, in a thread that ends with the test's process.
pub(crate) fn server(transport: Transport, answer: Answer) -> Address {
    let (sender, bound) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .unwrap();
        runtime.block_on(accept(transport, answer, &sender));
    });
    bound.recv().unwrap()
}

#[derive(Clone)]
pub(crate) enum Transport {
    Tcp,
    Tls,
    Unix(PathBuf),
}

async fn accept(transport: Transport, answer: Answer, bound: &mpsc::Sender<Address>) {
    if let Transport::Unix(path) = transport {
        let listener = UnixListener::bind(&path).unwrap();
        bound.send(Address::Unix(path)).unwrap();
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, number, answer));
        }
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut config = config();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let is_tls = matches!(transport, Transport::Tls);
    bound
        .send(if is_tls {
            Address::Tls(address)
        } else {
            Address::Tcp(address)
        })
        .unwrap();
    for number in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if is_tls {
                serve(acceptor.accept(stream).await.unwrap(), number, answer).await;
            } else {
                serve(stream, number, answer).await;
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, number: usize, answer: Answer) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    // A client that goes may say so or not.
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut bytes = Vec::new();
            while let Some(Ok(piece)) = body.data().await {
                let _ = body.flow_control().release_capacity(piece.len());
                bytes.extend_from_slice(&piece);
            }
            let Some((status, body)) = answer(number, bytes.into()) else {
                return std::future::pending().await;
            };
            let head = Response::builder()
                .status(status)
                .header("x-number", number)
                .body(())
                .unwrap();
            if let Ok(mut stream) = respond.send_response(head, false) {
                let _ = stream.send_data(body, true);
            }
        });
    }
}
