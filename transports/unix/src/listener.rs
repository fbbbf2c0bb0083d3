//! A listening Unix socket on one worker.
use crate::{UnixConnection, UnixSocket, socket::Name};
use anyport_core::{ConnInfo, Endpoint, Incoming, Listener, PeerCred, UnixName};
use socket2::SockRef;
use std::{
    future::Ready,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net,
    },
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::net::UnixStream;

/// A listening Unix socket on one worker.
#[derive(Debug)]
pub struct UnixListener {
    /// Shared by the workers that still take new clients; none for an adopted socket. Dropped before the socket: as long as that is open, no other
    /// file can be given its inode.
    name: Option<Arc<Name>>,
    inner: tokio::net::UnixListener,
    local: Endpoint,
    queue: Queue,
}

/// What is known about the kernel's queue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Queue {
    Open,
    /// The server drains: what's queued is accepted still.
    Stopped,
    Emptied,
}

impl UnixListener {
    pub(crate) fn new(socket: UnixSocket) -> io::Result<Self> {
        let UnixSocket { name, listener } = socket;
        Ok(Self {
            name,
            local: listener.local_addr()?.into(),
            inner: tokio::net::UnixListener::from_std(listener)?,
            queue: Queue::Open,
        })
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, Endpoint)>> {
        match self.queue {
            Queue::Open => {
                let (stream, peer) = ready!(self.inner.poll_accept(cx))?;
                Poll::Ready(Ok((stream, net::SocketAddr::from(peer).into())))
            }
            // What the reactor knows is a little old, and now it matters: the kernel is asked itself.
            Queue::Stopped => match SockRef::from(&self.inner).accept() {
                Ok((socket, _)) => {
                    socket.set_nonblocking(true)?;
                    let stream = net::UnixStream::from(socket);
                    let peer = stream.peer_addr();
                    let peer = peer.map_or(Endpoint::Unix(UnixName::Unnamed), Endpoint::from);
                    Poll::Ready(Ok((UnixStream::from_std(stream)?, peer)))
                }
                // Others may still get in, by a worker that isn't as far yet, or by an adopted socket's other owners: they're theirs.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.queue = Queue::Emptied;
                    Poll::Pending
                }
                Err(e) => Poll::Ready(Err(e)),
            },
            Queue::Emptied => Poll::Pending,
        }
    }
}

fn peer_cred(stream: &UnixStream) -> Option<PeerCred> {
    let cred = stream.peer_cred().ok()?;
    Some(PeerCred {
        // 0 stands for a process that this PID namespace doesn't know.
        pid: cred
            .pid()
            .and_then(|pid| pid.try_into().ok())
            .filter(|&pid| pid != 0),
        uid: cred.uid(),
        gid: cred.gid(),
    })
}

impl Listener for UnixListener {
    type Connection = UnixConnection;
    type Handshake = Ready<io::Result<UnixConnection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        let (stream, peer) = ready!(self.poll_stream(cx))?;
        let mut info = ConnInfo::new(peer, self.local.clone());
        if let Some(cred) = peer_cred(&stream) {
            info = info.with_peer_cred(cred);
        }
        Poll::Ready(Ok(Incoming::ready(UnixConnection::new(stream, info))))
    }

    fn stop(&mut self) -> Duration {
        self.queue = Queue::Stopped;
        // As long as another worker still takes new clients, it serves them all.
        if let Some(name) = self.name.take().and_then(Arc::into_inner) {
            name.give_up(&SockRef::from(&self.inner));
        }
        // A connection is made and queued in one step: nobody is under way.
        Duration::ZERO
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
