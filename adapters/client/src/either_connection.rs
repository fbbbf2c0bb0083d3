//! A connection that is one of two, such as with TLS or without it.
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, Permit},
};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

/// A connection that is one of two. It forwards everything.
#[derive(Debug)]
pub enum EitherConnection<A, B> {
    /// The first kind. In [`Names`](crate::Names), that of `http`.
    Left(A),
    /// The second kind. In [`Names`](crate::Names), that of `https`.
    Right(B),
}

/// Calls a method of the connection inside, which is pinned if the method asks for it.
macro_rules! forward {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match $self {
            Self::Left(connection) => connection.$method($($arg),*),
            Self::Right(connection) => connection.$method($($arg),*),
        }
    };
    (pin $self:ident.$method:ident($($arg:expr),*)) => {
        match $self.get_mut() {
            Self::Left(connection) => Pin::new(connection).$method($($arg),*),
            Self::Right(connection) => Pin::new(connection).$method($($arg),*),
        }
    };
}

impl<A: Read + Unpin, B: Read + Unpin> Read for EitherConnection<A, B> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(pin self.poll_read(cx, buf))
    }
}

impl<A: Write + Unpin, B: Write + Unpin> Write for EitherConnection<A, B> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(pin self.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(pin self.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(pin self.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        forward!(self.is_write_vectored())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(pin self.poll_write_vectored(cx, bufs))
    }
}

impl<A: Connection, B: Connection> Connection for EitherConnection<A, B> {
    fn info(&self) -> &ConnInfo {
        forward!(self.info())
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        forward!(self.info_mut())
    }

    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(pin self.poll_readable(cx))
    }

    fn peer_state(&mut self) -> PeerState {
        forward!(self.peer_state())
    }

    fn poll_retry_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        forward!(pin self.poll_retry_write(cx, bufs))
    }

    fn bytes_sent(&self) -> Option<u64> {
        forward!(self.bytes_sent())
    }

    fn reset(&mut self) {
        forward!(self.reset())
    }

    fn release(self: Pin<&mut Self>, permit: Permit) {
        forward!(pin self.release(permit))
    }
}
