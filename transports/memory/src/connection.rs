//! The two ends of a connection.
use anyport_core::{ConnInfo, Connection, delegate_io};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// The server's end.
#[derive(Debug)]
pub struct MemoryConnection {
    io: TokioIo<DuplexStream>,
    info: ConnInfo,
}

impl MemoryConnection {
    pub(crate) fn new(stream: DuplexStream, info: ConnInfo) -> Self {
        Self {
            io: TokioIo::new(stream),
            info,
        }
    }
}

impl Connection for MemoryConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }
}

delegate_io!(impl for MemoryConnection => io);

/// The client's end: tokio's I/O traits, on any runtime. For hyper's, wrap it in `hyper_util::rt::TokioIo`.
///
/// Dropping it closes the connection; `shutdown` ends its sending half only.
#[derive(Debug)]
pub struct MemoryStream(pub(crate) DuplexStream);

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}
