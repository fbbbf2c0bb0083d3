//! Both ends of a connection.
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, delegate_io},
};
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
    /// Upgrades while the client's end exists.
    client: Weak<Link>,
}

/// The state that the two ends share, besides the bytes.
#[derive(Debug, Default)]
struct Link {
    /// The server has dropped its end to reset the connection.
    is_reset: AtomicBool,
}

/// Both ends of a connection. Each buffers up to `buffer` bytes that the other has not read.
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

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
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

/// The client's end. It has tokio's I/O traits and works on any runtime. For hyper's traits, wrap
/// it in `hyper_util::rt::TokioIo`.
///
/// Dropping it closes the connection. `shutdown` ends only the sending direction.
#[derive(Debug)]
pub struct MemoryStream {
    io: DuplexStream,
    /// Keeps the weak reference of the server's end alive.
    link: Arc<Link>,
}

impl AsyncRead for MemoryStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (space, filled) = (buf.remaining(), buf.filled().len());
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let is_end = space > 0 && buf.filled().len() == filled;
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
