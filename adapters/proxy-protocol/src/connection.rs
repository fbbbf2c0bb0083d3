//! A connection whose PROXY header has been read.
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, Permit, delegate_write},
};
use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

/// A connection whose PROXY header has been read, or which needs no header.
pub struct ProxyProtocolConnection<C> {
    io: C,
    info: ConnInfo,
    /// Bytes that arrived together with the header. They are read first, and then freed.
    surplus: Bytes,
}

impl<C: Connection> ProxyProtocolConnection<C> {
    pub(crate) fn new(io: C, info: ConnInfo, surplus: Bytes) -> Self {
        Self { io, info, surplus }
    }

    /// A connection without a header.
    pub(crate) fn ordinary(io: C) -> Self {
        let info = io.info().clone();
        Self::new(io, info, Bytes::new())
    }

    /// A reference to the inner connection.
    pub fn inner(&self) -> &C {
        &self.io
    }
}

impl<C: Connection> Connection for ProxyProtocolConnection<C> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.surplus.is_empty() {
            true => Pin::new(&mut self.io).poll_readable(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn peer_state(&mut self) -> PeerState {
        match self.io.peer_state() {
            // The surplus is unread.
            PeerState::HalfClosed if !self.surplus.is_empty() => PeerState::Open,
            state => state,
        }
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_retry_write(cx, bufs)
    }

    fn bytes_sent(&self) -> Option<u64> {
        self.io.bytes_sent()
    }

    fn reset(&mut self) {
        self.io.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        Pin::new(&mut self.io).release(permit);
    }
}

impl<C: Connection> Read for ProxyProtocolConnection<C> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.surplus.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let taken = self.surplus.len().min(buf.remaining());
        buf.put_slice(&self.surplus[..taken]);
        self.surplus.advance(taken);
        if self.surplus.is_empty() {
            self.surplus = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

delegate_write!(impl<C: [Connection]> for ProxyProtocolConnection<C> => io);

impl<C> fmt::Debug for ProxyProtocolConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocolConnection")
            .field("info", &self.info)
            .field("surplus", &self.surplus.len())
            .finish_non_exhaustive()
    }
}
