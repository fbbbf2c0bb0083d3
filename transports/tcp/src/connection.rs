//! One TCP connection.
#[cfg(not(unix))]
use anyport_core::delegate_io;
use anyport_core::{ConnInfo, Connection};
#[cfg(unix)]
use anyport_core::{PeerState, delegate_socket_io, socket};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// One TCP connection.
#[derive(Debug)]
pub struct TcpConnection {
    io: TokioIo<TcpStream>,
    info: ConnInfo,
    /// The next write is tried, whatever tokio knows of the socket.
    #[cfg(unix)]
    retry: bool,
}

impl TcpConnection {
    pub(crate) fn new(stream: TcpStream, info: ConnInfo) -> Self {
        Self {
            io: TokioIo::new(stream),
            info,
            #[cfg(unix)]
            retry: false,
        }
    }

    /// The tokio stream: to ask its socket something, or for its descriptor.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.io.inner()
    }
}

impl Connection for TcpConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read_ready(cx)
    }

    #[cfg(unix)]
    fn peer_state(&mut self) -> PeerState {
        socket::peer_state(self.stream())
    }

    #[cfg(unix)]
    fn retry_write(&mut self) {
        self.retry = true;
    }
}

#[cfg(unix)]
delegate_socket_io!(impl for TcpConnection => io, retry);
#[cfg(not(unix))]
delegate_io!(impl for TcpConnection => io);

#[cfg(unix)]
impl std::os::fd::AsFd for TcpConnection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream().as_fd()
    }
}
