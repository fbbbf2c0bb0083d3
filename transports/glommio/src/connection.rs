//! One connection.
use crate::stream::Stream;
use anyport_core::{ConnInfo, Connection, PeerState, ThreadBound, delegate_io};
use glommio::net::TcpStream;
use std::{
    fmt, io,
    os::fd::{AsRawFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

/// One connection, over TCP or a Unix socket. It stays on its worker: on another thread, its reads and writes fail.
pub struct GlommioConnection {
    io: ThreadBound<Stream>,
    info: ConnInfo,
    descriptor: RawFd,
}

impl GlommioConnection {
    pub(crate) fn new(stream: TcpStream, info: ConnInfo) -> Self {
        Self {
            descriptor: stream.as_raw_fd(),
            io: ThreadBound::new(Stream::new(stream)),
            info,
        }
    }
}

impl Connection for GlommioConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.with(|stream| stream.poll_readable(cx))?
    }

    fn peer_state(&mut self) -> PeerState {
        self.io.with(|stream| stream.peer_state()).unwrap_or_default()
    }

    fn reset(&mut self) {
        // On another thread, there's nothing that it could be asked of.
        let _ = self.io.with(|stream| stream.reset_at_close());
    }
}

delegate_io!(impl for GlommioConnection => io);

/// For a question or an option that has no method here; it's open for as long as the connection is.
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
