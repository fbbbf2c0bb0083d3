//! A listening Unix socket on one worker.
use crate::{
    Driver, MonoioConnection,
    doorbell::{Doorbell, flags},
    room::bound_sleep,
};
use anyport_core::{
    ConnInfo, Endpoint, Incoming, Listener, PeerCred, UnixName,
    socket::unix::{UnixQueue, UnixSocket},
};
use monoio::net::UnixStream;
use rustix::net::{SocketFlags, accept_with};
use socket2::SockRef;
use std::{
    fmt,
    future::Ready,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    task::{Context, Poll, ready},
    time::Duration,
};

/// A listening Unix socket on one worker.
pub struct MonoioUnixListener {
    /// Dropped before the socket.
    queue: UnixQueue,
    socket: net::UnixListener,
    doorbell: Doorbell,
    flags: SocketFlags,
    local: Endpoint,
}

impl MonoioUnixListener {
    pub(crate) fn new(socket: UnixSocket) -> io::Result<Self> {
        let (queue, socket) = socket.into_parts();
        Ok(Self {
            queue,
            doorbell: Doorbell::new(&socket)?,
            flags: flags(),
            local: socket.local_addr()?.into(),
            socket,
        })
    }

    fn connection(&self, stream: net::UnixStream) -> io::Result<MonoioConnection<UnixStream>> {
        let peer = stream.peer_addr();
        let peer = peer.map_or(Endpoint::Unix(UnixName::Unnamed), Endpoint::from);
        if Driver::current() == Some(Driver::IoUring) {
            bound_sleep(&stream)?;
        }
        let stream = UnixStream::from_std(stream)?;
        let mut info = ConnInfo::new(peer, self.local.clone());
        if let Some(cred) = peer_cred(&stream) {
            info = info.with_peer_cred(cred);
        }
        Ok(MonoioConnection::new(stream, info))
    }
}

fn peer_cred(stream: &UnixStream) -> Option<PeerCred> {
    let cred = stream.peer_cred().ok()?;
    let peer_cred = PeerCred::new(cred.uid(), cred.gid());
    // 0 stands for a process that this PID namespace doesn't know.
    Some(match cred.pid().and_then(|pid| pid.try_into().ok()) {
        None | Some(0) => peer_cred,
        Some(pid) => peer_cred.with_pid(pid),
    })
}

impl Listener for MonoioUnixListener {
    type Connection = MonoioConnection<UnixStream>;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        while !self.queue.is_over() {
            // The last look is at the kernel's queue itself.
            if self.doorbell.is_waiting() && !self.queue.is_stopped() {
                ready!(self.doorbell.poll(cx));
            }
            match accept_with(&self.socket, self.flags).map_err(io::Error::from) {
                Ok(stream) => {
                    self.queue.count();
                    return Poll::Ready(self.connection(stream.into()).map(Incoming::ready));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if self.queue.awaits_more() {
                        ready!(self.doorbell.poll(cx));
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

impl AsFd for MonoioUnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for MonoioUnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonoioUnixListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
