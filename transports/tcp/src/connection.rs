//! A TCP connection.
use anyport_core::{ConnInfo, Connection, transport::delegate_io};
#[cfg(unix)]
use anyport_core::{socket, transport::PeerState};
use hyper_util::rt::TokioIo;
#[cfg(unix)]
use std::io::IoSlice;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// A TCP connection.
#[derive(Debug)]
pub struct TcpConnection {
    io: TokioIo<TcpStream>,
    info: ConnInfo,
}

impl TcpConnection {
    pub(crate) fn new(stream: TcpStream, info: ConnInfo) -> Self {
        Self {
            io: TokioIo::new(stream),
            info,
        }
    }

    /// The tokio stream, for socket options and for its descriptor.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        self.io.inner()
    }
}

impl Connection for TcpConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
    }

    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read_ready(cx)
    }

    #[cfg(unix)]
    fn peer_state(&mut self) -> PeerState {
        socket::peer_state(self.stream())
    }

    #[cfg(unix)]
    fn poll_retry_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        socket::try_send(self.stream(), bufs)
    }

    #[cfg(unix)]
    fn reset(&mut self) {
        socket::reset_at_close(self.stream());
    }
}

delegate_io!(impl for TcpConnection => io);

#[cfg(unix)]
impl std::os::fd::AsFd for TcpConnection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream().as_fd()
    }
}
