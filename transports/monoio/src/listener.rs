//! A listening TCP socket on one worker.
use crate::{
    Driver, MonoioConnection,
    doorbell::{Doorbell, flags},
    room::bound_sleep,
};
use anyport_core::{
    ConnInfo, Endpoint, Incoming, Listener,
    socket::{AcceptQueue, Owners, canonical},
};
use monoio::net::TcpStream;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::SockRef;
use std::{
    fmt,
    future::{self, Ready},
    io,
    net::{self, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll, ready},
    time::Duration,
};

/// A listening TCP socket on one worker.
pub struct MonoioListener {
    socket: net::TcpListener,
    doorbell: Doorbell,
    flags: SocketFlags,
    /// Connections don't have it from the listening socket, which isn't ours to change.
    bounds_sleep: bool,
    queue: AcceptQueue,
    /// The address of every connection; none, if each has to be asked (a socket that listens on all interfaces).
    local: Option<Endpoint>,
}

impl MonoioListener {
    pub(crate) fn new(socket: net::TcpListener, owners: Owners) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let is_ring = Driver::current() == Some(Driver::IoUring);
        if is_ring && owners == Owners::Us {
            bound_sleep(&socket)?;
        }
        Ok(Self {
            bounds_sleep: is_ring && owners != Owners::Us,
            doorbell: Doorbell::new(&socket)?,
            socket,
            flags: flags(),
            queue: AcceptQueue::new(owners),
            local: (!local.ip().is_unspecified()).then(|| local.into()),
        })
    }

    fn accept(&self) -> io::Result<(net::TcpStream, SocketAddr)> {
        let (socket, peer) = acceptfrom_with(&self.socket, self.flags)?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok((socket.into(), peer.ok_or(io::ErrorKind::ConnectionAborted)?))
    }

    fn connection(&self, stream: net::TcpStream, peer: SocketAddr) -> io::Result<MonoioConnection> {
        let local = match &self.local {
            Some(local) => local.clone(),
            None => canonical(stream.local_addr()?).into(),
        };
        if self.bounds_sleep {
            bound_sleep(&stream)?;
        }
        let stream = TcpStream::from_std(stream)?;
        Ok(MonoioConnection::new(
            stream,
            ConnInfo::new(canonical(peer), local),
        ))
    }
}

impl Listener for MonoioListener {
    type Connection = MonoioConnection;
    type Handshake = Ready<io::Result<MonoioConnection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        while !self.queue.is_over() {
            // The last look is at the kernel's queue itself.
            if self.doorbell.is_waiting() && !self.queue.is_stopped() {
                ready!(self.doorbell.poll(cx));
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
                        ready!(self.doorbell.poll(cx));
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

impl AsFd for MonoioListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl fmt::Debug for MonoioListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonoioListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
