//! A listening TCP socket on one worker.
use crate::{
    GlommioConnection,
    watch::{Watch, doorbell},
};
use anyport_core::{
    ConnInfo, Endpoint, Incoming, Listener,
    socket::{AcceptQueue, Owners, canonical},
};
use glommio::net::TcpStream;
use glommio_socket2::Socket;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::SockRef;
use std::{
    fmt,
    future::{self, Ready},
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

/// A listening TCP socket on one worker.
///
/// glommio's reactor says when clients are there, and they're accepted by accept4(2) until none is left, not by glommio's own listener: that one takes four system calls for each
/// client, and lets connections stay open in processes that the app starts.
pub struct GlommioListener {
    socket: net::TcpListener,
    doorbell: OwnedFd,
    wait: Watch,
    queue: AcceptQueue,
    /// The address of every connection; none, if each has to be asked (a socket that listens on all interfaces).
    local: Option<Endpoint>,
}

impl GlommioListener {
    pub(crate) fn new(socket: net::TcpListener, owners: Owners) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            doorbell: doorbell(&socket)?,
            socket,
            wait: Watch::default(),
            queue: AcceptQueue::new(owners),
            local: (!local.ip().is_unspecified()).then(|| local.into()),
        })
    }

    fn accept(&self) -> io::Result<(net::TcpStream, SocketAddr)> {
        let (socket, peer) = acceptfrom_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok((socket.into(), peer.ok_or(io::ErrorKind::ConnectionAborted)?))
    }

    fn connection(&self, stream: net::TcpStream, peer: SocketAddr) -> io::Result<GlommioConnection> {
        let local = match &self.local {
            Some(local) => local.clone(),
            None => canonical(stream.local_addr()?).into(),
        };
        let stream = TcpStream::from(Socket::from(stream));
        Ok(GlommioConnection::new(
            stream,
            ConnInfo::new(canonical(peer), local),
        ))
    }
}

impl Listener for GlommioListener {
    type Connection = GlommioConnection;
    type Handshake = Ready<io::Result<GlommioConnection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        while !self.queue.is_over() {
            // The last look is at the kernel's queue itself.
            if self.wait.is_armed() && !self.queue.is_stopped() {
                ready!(self.wait.poll_readable(&self.doorbell, cx))?;
            }
            match self.accept() {
                Ok((stream, peer)) => {
                    self.queue.count();
                    // Not the listener's trouble: the peer has gone already.
                    let connection = self.connection(stream, peer);
                    return Poll::Ready(Ok(Incoming::new(canonical(peer), future::ready(connection))));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if self.queue.awaits_more() {
                        ready!(self.wait.poll_readable(&self.doorbell, cx))?;
                    }
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Pending
    }

    fn stop(&mut self) -> Duration {
        self.queue.stop(&SockRef::from(&self.socket))
    }
}

impl AsFd for GlommioListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for GlommioListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlommioListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
