//! A connection whose PROXY header has been read.
use anyport_core::{
    ConnInfo, Connection,
    transport::{Intercept, Intercepted, PeerState},
};
use hyper::rt::ReadBufCursor;
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

/// A connection whose PROXY header has been read, or which needs no header.
pub type ProxyProtocolConnection<C> = Intercepted<C, AfterHeader>;

/// The changes that a PROXY header makes to its connection: the facts, and the first bytes.
pub struct AfterHeader {
    /// Replaces the facts of the inner connection if those cannot be changed.
    info: Option<ConnInfo>,
    /// Bytes that arrived together with the header. They are read first, and then freed.
    surplus: Vec<u8>,
}

pub(crate) fn connection<C: Connection>(
    io: C,
    info: Option<ConnInfo>,
    surplus: Vec<u8>,
) -> ProxyProtocolConnection<C> {
    Intercepted::new(io, AfterHeader { info, surplus })
}

/// A connection without a header.
pub(crate) fn ordinary<C: Connection>(io: C) -> ProxyProtocolConnection<C> {
    connection(io, None, Vec::new())
}

impl<C: Connection> Intercept<C> for AfterHeader {
    fn info<'a>(&'a self, inner: &'a C) -> &'a ConnInfo {
        self.info.as_ref().unwrap_or_else(|| inner.info())
    }

    fn info_mut<'a>(&'a mut self, inner: &'a mut C) -> Option<&'a mut ConnInfo> {
        match &mut self.info {
            Some(info) => Some(info),
            None => inner.info_mut(),
        }
    }

    fn poll_readable(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.surplus.is_empty() {
            true => inner.poll_readable(cx),
            false => Poll::Ready(Ok(())),
        }
    }

    fn peer_state(&mut self, inner: &mut C) -> PeerState {
        match inner.peer_state() {
            // The surplus waits to be read.
            PeerState::HalfClosed if !self.surplus.is_empty() => PeerState::Open,
            state => state,
        }
    }

    #[inline]
    fn poll_read(
        &mut self,
        inner: Pin<&mut C>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.surplus.is_empty() {
            return inner.poll_read(cx, buf);
        }
        let taken = self.surplus.len().min(buf.remaining());
        buf.put_slice(&self.surplus[..taken]);
        self.surplus.drain(..taken);
        if self.surplus.is_empty() {
            self.surplus = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for AfterHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterHeader")
            .field("info", &self.info)
            .field("surplus", &self.surplus.len())
            .finish()
    }
}
