//! A connection over TCP or a Unix socket.
use crate::stream::Stream;
use anyport_core::{
    ConnInfo, Connection,
    transport::{PeerState, Permit, ThreadBoundStream, delegate_io},
};
use glommio::net::TcpStream;
use std::{
    fmt, io,
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

/// A connection, over TCP or a Unix socket. Its socket stays on its worker. Used on another thread,
/// the connection is [relayed](ThreadBoundStream).
pub struct GlommioConnection {
    io: ThreadBoundStream<Stream>,
    info: ConnInfo,
    descriptor: RawFd,
}

impl GlommioConnection {
    pub(crate) fn new(stream: TcpStream, info: ConnInfo) -> Self {
        Self {
            descriptor: stream.as_raw_fd(),
            io: ThreadBoundStream::new(Stream::new(stream)),
            info,
        }
    }
}

impl Connection for GlommioConnection {
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

    fn reset(&mut self) {
        self.io.reset();
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        self.io.release(permit);
    }
}

delegate_io!(impl for GlommioConnection => io);

/// Use it for socket options and queries that have no method here. The descriptor is open for as
/// long as the connection is.
impl AsRawFd for GlommioConnection {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor
    }
}

impl fmt::Debug for GlommioConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlommioConnection")
            .field("info", &self.info)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}
