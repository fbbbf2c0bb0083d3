//! A connection over a Unix socket.
use anyport_core::{
    ConnInfo, Connection, socket,
    transport::{PeerState, delegate_io},
};
use hyper_util::rt::TokioIo;
use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::net::UnixStream;

/// A connection over a Unix socket.
///
/// Its [`info`](Connection::info) has the peer's credentials: [`ConnInfo::peer_cred`].
#[derive(Debug)]
pub struct UnixConnection {
    io: TokioIo<UnixStream>,
    info: ConnInfo,
}

impl UnixConnection {
    pub(crate) fn new(stream: UnixStream, info: ConnInfo) -> Self {
        Self {
            io: TokioIo::new(stream),
            info,
        }
    }

    /// The tokio stream, for socket options and for its descriptor.
    #[must_use]
    pub fn stream(&self) -> &UnixStream {
        self.io.inner()
    }
}

impl Connection for UnixConnection {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
    }

    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read_ready(cx)
    }

    fn peer_state(&mut self) -> PeerState {
        socket::peer_state(self.stream())
    }

    fn poll_retry_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        socket::try_send(self.stream(), bufs)
    }
}

delegate_io!(impl for UnixConnection => io);

impl AsFd for UnixConnection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream().as_fd()
    }
}
