//! Listeners for runtimes that only report when a listening socket is readable (Linux).
//!
//! They call accept4(2) until the queue is empty. An accept operation of io_uring would lose a
//! connection that it accepts after the listener was dropped. It also needs a blocking socket, and
//! an adopted socket must stay non-blocking for its other owners.
use super::{
    AcceptQueue, FromTcpSocket, Ownership, SocketOptions, canonical,
    unix::{FromUnixSocket, UnixQueue, UnixSocket},
};
use crate::{
    runtime::{RuntimeOptions, Worker},
    transport::{ConnInfo, Connecting, Connection, Endpoint, Listener, UnixName},
};
use rustix::net::{SocketFlags, accept_with, acceptfrom_with};
use socket2::SockRef;
use std::{
    fmt,
    future::{Ready, ready},
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    task::{self, Context, Poll},
    time::Duration,
};

/// How a runtime's worker waits for clients of a listening socket, and makes connections of their
/// streams.
pub trait Acceptor: Sized + Unpin + 'static {
    /// The driver that the workers wait with, if the runtime has several; otherwise `()`.
    type Driver: Clone + Default + fmt::Debug + Send + Sync + 'static;

    /// The connection over TCP.
    type Tcp: Connection;

    /// The connection over a Unix socket.
    type Unix: Connection;

    /// The options that pass the driver to the runtime. Default: none.
    fn runtime_options(_driver: &Self::Driver) -> Option<RuntimeOptions> {
        None
    }

    /// Starts to watch a listening socket, inside the worker's runtime. `inherited`: connections
    /// inherit the socket's options, so this may change them.
    ///
    /// # Errors
    ///
    /// After an error the server does not start.
    fn new(socket: BorrowedFd<'_>, inherited: bool, worker: &Worker) -> io::Result<Self>;

    /// Whether the last [`poll_ready`](Self::poll_ready) was pending.
    fn is_waiting(&self) -> bool;

    /// Ready when the socket may have clients.
    ///
    /// # Errors
    ///
    /// For example, no descriptor is left for the wait.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The flags of accept4(2). Default: non-blocking, and closed on exec.
    fn flags(&self) -> SocketFlags {
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK
    }

    /// Makes a connection of a TCP stream.
    ///
    /// # Errors
    ///
    /// The peer has disconnected already.
    fn tcp(&self, stream: TcpStream, info: ConnInfo) -> io::Result<Self::Tcp>;

    /// Makes a connection of a Unix stream; `info` lacks the credentials of the peer.
    ///
    /// # Errors
    ///
    /// The peer has disconnected already.
    fn unix(&self, stream: UnixStream, info: ConnInfo) -> io::Result<Self::Unix>;
}

/// Accepts a queued client by `accept`, or waits if there is none.
fn poll_next<A: Acceptor, T>(
    acceptor: &mut A,
    queue: &mut AcceptQueue,
    cx: &mut Context<'_>,
    mut accept: impl FnMut(SocketFlags) -> io::Result<T>,
) -> Poll<io::Result<T>> {
    while !queue.is_drained() {
        // During a drain only the kernel's queue counts, not the readiness seen before.
        if acceptor.is_waiting() && !queue.is_stopped() {
            task::ready!(acceptor.poll_ready(cx))?;
        }
        match accept(acceptor.flags()) {
            Ok(accepted) => {
                queue.record_accept();
                return Poll::Ready(Ok(accepted));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                if queue.should_wait() {
                    task::ready!(acceptor.poll_ready(cx))?;
                }
            }
            Err(e) => return Poll::Ready(Err(e)),
        }
    }
    Poll::Pending
}

fn accept_from(socket: &TcpListener, flags: SocketFlags) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = acceptfrom_with(socket, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((socket.into(), peer.ok_or(io::ErrorKind::ConnectionAborted)?))
}

/// A listening TCP socket on one worker.
pub struct ReadinessTcpListener<A> {
    socket: TcpListener,
    acceptor: A,
    queue: AcceptQueue,
    /// The local address of every connection. `None` if it differs per connection, because the
    /// socket listens on all interfaces.
    local: Option<Endpoint>,
}

impl<A: Acceptor> ReadinessTcpListener<A> {
    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<A::Tcp> {
        let local = match &self.local {
            Some(local) => local.clone(),
            None => canonical(stream.local_addr()?).into(),
        };
        self.acceptor
            .tcp(stream, ConnInfo::new(canonical(peer), local))
    }
}

impl<A: Acceptor> FromTcpSocket for ReadinessTcpListener<A> {
    type Driver = A::Driver;

    fn runtime_options(driver: &A::Driver) -> Option<RuntimeOptions> {
        A::runtime_options(driver)
    }

    fn new(
        socket: TcpListener,
        _: &SocketOptions,
        ownership: Ownership,
        worker: &Worker,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            acceptor: A::new(socket.as_fd(), ownership == Ownership::Exclusive, worker)?,
            socket,
            queue: AcceptQueue::new(ownership),
            local: (!local.ip().is_unspecified()).then(|| local.into()),
        })
    }
}

impl<A: Acceptor> Listener for ReadinessTcpListener<A> {
    type Connection = A::Tcp;
    type Handshake = Ready<io::Result<A::Tcp>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let (socket, acceptor) = (&self.socket, &mut self.acceptor);
        let next = poll_next(acceptor, &mut self.queue, cx, |flags| {
            accept_from(socket, flags)
        });
        let (stream, peer) = task::ready!(next)?;
        // An error here means that the peer has disconnected. It is not an error of the listener.
        let connection = self.connection(stream, peer);
        Poll::Ready(Ok(Connecting::new(canonical(peer), ready(connection))))
    }

    fn stop(&mut self) -> Duration {
        self.queue.stop(&SockRef::from(&self.socket))
    }
}

impl<A> AsFd for ReadinessTcpListener<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<A> fmt::Debug for ReadinessTcpListener<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessTcpListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}

/// A listening Unix socket on one worker.
pub struct ReadinessUnixListener<A> {
    /// Dropped before the socket.
    queue: UnixQueue,
    socket: UnixListener,
    acceptor: A,
    local: Endpoint,
}

impl<A: Acceptor> FromUnixSocket for ReadinessUnixListener<A> {
    type Driver = A::Driver;

    fn runtime_options(driver: &A::Driver) -> Option<RuntimeOptions> {
        A::runtime_options(driver)
    }

    fn new(socket: UnixSocket, worker: &Worker) -> io::Result<Self> {
        let (queue, socket) = socket.into_parts();
        Ok(Self {
            queue,
            acceptor: A::new(socket.as_fd(), false, worker)?,
            local: socket.local_addr()?.into(),
            socket,
        })
    }
}

impl<A: Acceptor> Listener for ReadinessUnixListener<A> {
    type Connection = A::Unix;
    type Handshake = Ready<io::Result<A::Unix>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let (socket, acceptor) = (&self.socket, &mut self.acceptor);
        let next = poll_next(acceptor, self.queue.accept_queue(), cx, |flags| {
            Ok(accept_with(socket, flags)?)
        });
        let stream = UnixStream::from(task::ready!(next)?);
        let peer = stream.peer_addr();
        let peer = peer.map_or(Endpoint::Unix(UnixName::Unnamed), Endpoint::from);
        let connection = self
            .acceptor
            .unix(stream, ConnInfo::new(peer, self.local.clone()));
        Poll::Ready(connection.map(Connecting::ready))
    }

    fn stop(&mut self) -> Duration {
        self.queue.stop(&SockRef::from(&self.socket));
        // The kernel connects and queues a client in one step, so none is in flight.
        Duration::ZERO
    }
}

impl<A> AsFd for ReadinessUnixListener<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<A> fmt::Debug for ReadinessUnixListener<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadinessUnixListener")
            .field("socket", &self.socket)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
