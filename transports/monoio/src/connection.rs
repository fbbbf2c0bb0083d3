//! A connection over TCP or a Unix socket.
use crate::stream::{Socket, Stream};
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, Permit, ThreadBoundStream, delegate_io},
};
use monoio::{io::AsyncWriteRent, net::TcpStream};
use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

/// A connection, over TCP or a Unix socket. Its socket stays on its worker. Used on another thread,
/// the connection is [relayed](ThreadBoundStream).
pub struct MonoioConnection<S: AsyncWriteRent + 'static = TcpStream> {
    io: ThreadBoundStream<Stream<S>>,
    info: ConnInfo,
    descriptor: RawFd,
}

impl<S: AsyncWriteRent> MonoioConnection<S> {
    pub(crate) fn new(stream: S, info: ConnInfo) -> Self
    where
        S: Socket,
    {
        Self::from_stream(Stream::new(stream), info)
    }

    pub(crate) fn from_stream(stream: Stream<S>, info: ConnInfo) -> Self
    where
        S: Socket,
    {
        Self {
            descriptor: stream.descriptor,
            io: ThreadBoundStream::new(stream),
            info,
        }
    }
}

impl<S: Socket> Connection for MonoioConnection<S> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }

    fn peer_state(&mut self) -> PeerState {
        self.io.peer_state()
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_retry_write(cx, bufs)
    }

    fn reset(&mut self) {
        self.io.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        self.io.release(permit);
    }
}

delegate_io!(impl<S: [Socket]> for MonoioConnection<S> => io);

/// Use it for socket options and queries that have no method here. The descriptor is open for as
/// long as the connection is.
impl<S: AsyncWriteRent> AsRawFd for MonoioConnection<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor
    }
}

impl<S: AsyncWriteRent> fmt::Debug for MonoioConnection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonoioConnection")
            .field("info", &self.info)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}
