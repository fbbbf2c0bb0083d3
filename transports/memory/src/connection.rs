//! Both ends of a connection.
use anyport_core::{ConnInfo, Connection, PeerState, delegate_io};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};

/// The server's end.
#[derive(Debug)]
pub struct MemoryConnection {
    io: TokioIo<DuplexStream>,
    info: ConnInfo,
    /// As long as the client has its end.
    client: Weak<Link>,
}

/// What the two ends tell each other beside the bytes.
#[derive(Debug, Default)]
struct Link {
    /// The server's end is dropped, and that's no end in order.
    is_reset: AtomicBool,
}

/// Both ends of a connection; each holds up to `buffer` bytes that the other has not read.
pub(crate) fn pair(buffer: usize, info: ConnInfo) -> (MemoryStream, MemoryConnection) {
    let (client, server) = duplex(buffer);
    let link = Arc::<Link>::default();
    let server = MemoryConnection {
        io: TokioIo::new(server),
        info,
        client: Arc::downgrade(&link),
    };
    let client = MemoryStream { io: client, link };
    (client, server)
}

impl Connection for MemoryConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn peer_state(&mut self) -> PeerState {
        match self.client.strong_count() {
            0 => PeerState::Closed,
            _ => PeerState::Open,
        }
    }

    fn reset(&mut self) {
        if let Some(link) = self.client.upgrade() {
            link.is_reset.store(true, Release);
        }
    }
}

delegate_io!(impl for MemoryConnection => io);

/// The client's end: tokio's I/O traits, on any runtime. For hyper's, wrap it in
/// `hyper_util::rt::TokioIo`.
///
/// Dropping it closes the connection; `shutdown` ends its sending half only.
#[derive(Debug)]
pub struct MemoryStream {
    io: DuplexStream,
    /// Tells the server's end that this one is there.
    link: Arc<Link>,
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, filled) = (buf.remaining(), buf.filled().len());
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let is_end = room > 0 && buf.filled().len() == filled;
        if is_end && self.link.is_reset.load(Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
