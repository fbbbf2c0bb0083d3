//! Transports behind a proxy, each as a subject of the suite.
#[cfg(target_os = "linux")]
pub(crate) mod io_uring;
pub(crate) mod memory;
pub(crate) mod plain;
pub(crate) mod tls;
pub(crate) mod unix;

use anyport_core::transport::Endpoint;
use std::io;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

/// A version 1 header of a client's proxy.
pub(crate) const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n";

/// The same header in version 2, with a value after the addresses (a host name).
pub(crate) const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x1a\
    \xc0\0\x02\x01\xc0\0\x02\x09\x12\x67\x01\xbb\x02\0\x0bexample.com";

/// Sends a header first.
pub(crate) async fn begin<S: AsyncWrite + Unpin>(mut stream: S, header: &[u8]) -> io::Result<S> {
    stream.write_all(header).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Does the same as [`begin`], for a client that the server may have refused already.
pub(crate) async fn begin_if_open<S: AsyncWrite + Unpin>(mut stream: S, header: &[u8]) -> S {
    let _ = stream.write_all(header).await;
    let _ = stream.flush().await;
    stream
}

pub(crate) async fn tcp(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
