//! A listening Unix socket on one worker.
use crate::{
    GlommioConnection,
    watch::{Watch, doorbell},
};
use anyport_core::{
    ConnInfo, Endpoint, Incoming, Listener, PeerCred, UnixName,
    socket::unix::{UnixQueue, UnixSocket},
};
use glommio::net::TcpStream;
use glommio_socket2::Socket;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{SocketFlags, accept_with};
use socket2::SockRef;
use std::{
    fmt,
    future::Ready,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net,
    },
    task::{Context, Poll, ready},
    time::Duration,
};

const FLAGS: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

/// A listening Unix socket on one worker.
pub struct GlommioUnixListener {
    /// Dropped before the socket.
    queue: UnixQueue,
    socket: net::UnixListener,
    doorbell: OwnedFd,
    wait: Watch,
    local: Endpoint,
}

impl GlommioUnixListener {
    pub(crate) fn new(socket: UnixSocket) -> io::Result<Self> {
        let (queue, socket) = socket.into_parts();
        Ok(Self {
            queue,
            doorbell: doorbell(&socket)?,
            wait: Watch::default(),
            local: socket.local_addr()?.into(),
            socket,
        })
    }

    fn connection(&self, stream: net::UnixStream) -> io::Result<GlommioConnection> {
        let peer = stream.peer_addr();
        let peer = peer.map_or(Endpoint::Unix(UnixName::Unnamed), Endpoint::from);
        let mut info = ConnInfo::new(peer, self.local.clone());
        if let Some(cred) = peer_cred(&stream) {
            info = info.with_peer_cred(cred);
        }
        // It's called TCP's, but what it asks of a socket, those of all families do.
        let stream = TcpStream::from(Socket::from(stream));
        Ok(GlommioConnection::new(stream, info))
    }
}

fn peer_cred(stream: &net::UnixStream) -> Option<PeerCred> {
    let cred = getsockopt(stream, PeerCredentials).ok()?;
    let peer_cred = PeerCred::new(cred.uid(), cred.gid());
    // 0 stands for a process that this PID namespace doesn't know.
    Some(match cred.pid().try_into() {
        Err(_) | Ok(0) => peer_cred,
        Ok(pid) => peer_cred.with_pid(pid),
    })
}

impl Listener for GlommioUnixListener {
    type Connection = GlommioConnection;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        while !self.queue.is_over() {
            // The last look is at the kernel's queue itself.
            if self.wait.is_armed() && !self.queue.is_stopped() {
                ready!(self.wait.poll_readable(&self.doorbell, cx))?;
            }
            match accept_with(&self.socket, FLAGS).map_err(io::Error::from) {
                Ok(stream) => {
                    self.queue.count();
                    return Poll::Ready(self.connection(stream.into()).map(Incoming::ready));
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
        self.queue.stop(&SockRef::from(&self.socket));
        // A connection is made and queued in one step: nobody is under way.
        Duration::ZERO
    }
}

impl AsFd for GlommioUnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for GlommioUnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlommioUnixListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
