//! A listening TCP socket on one worker.
use crate::TcpConnection;
use anyport_core::{ConnInfo, Endpoint, Incoming, Listener, socket::SocketOptions};
use socket2::SockRef;
use std::{
    future::{Ready, ready},
    io,
    net::{self, SocketAddr},
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::net::TcpStream;

/// How long the last ACK of a handshake may take that the kernel has answered already: about the longest round trip on Earth. Its client
/// believes itself connected, and would be reset.
const ARRIVING: Duration = Duration::from_millis(250);

/// As many clients as were queued at most when a worker stopped that can't keep new ones out (Linux's default for `net.core.somaxconn`).
/// Those behind them are somebody else's, and there may be no end of them.
const LONGEST_QUEUE: usize = 4096;

/// A listening TCP socket on one worker.
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
    options: SocketOptions,
    /// The address of every connection; none, if each has to be asked (a socket that listens on all interfaces).
    local: Option<Endpoint>,
    owners: Owners,
    queue: Queue,
}

/// Who else accepts from the kernel's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// Nobody: what's done to the socket ends with this listener.
    Us,
    /// It has duplicates: with other workers, or in other processes. What's done to it is done to them.
    Others,
}

/// What is known about the kernel's queue.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Queue {
    Open,
    /// The server drains: what's queued is accepted still, at most so many.
    Stopped {
        left: usize,
    },
    /// Nothing was left in a queue that others empty too.
    LeftToOthers,
}

impl TcpListener {
    pub(crate) fn new(
        listener: net::TcpListener,
        options: SocketOptions,
        owners: Owners,
    ) -> io::Result<Self> {
        let local = listener.local_addr()?;
        Ok(Self {
            inner: tokio::net::TcpListener::from_std(listener)?,
            options,
            local: (!local.ip().is_unspecified()).then(|| local.into()),
            owners,
            queue: Queue::Open,
        })
    }

    fn connection(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<TcpConnection> {
        if self.options.need_applying() {
            self.options.apply_to_connection(&SockRef::from(&stream))?;
        }
        let local = match &self.local {
            Some(local) => local.clone(),
            None => canonical(stream.local_addr()?).into(),
        };
        Ok(TcpConnection::new(stream, ConnInfo::new(canonical(peer), local)))
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let left = match self.queue {
            Queue::Open => return self.inner.poll_accept(cx),
            Queue::Stopped { left: 0 } | Queue::LeftToOthers => return Poll::Pending,
            Queue::Stopped { left } => left,
        };
        // What the reactor knows is a little old, and now it matters: the kernel is asked itself.
        match SockRef::from(&self.inner).accept() {
            Ok((socket, peer)) => {
                self.queue = Queue::Stopped { left: left - 1 };
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into())?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?;
                Poll::Ready(Ok((stream, peer)))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => match self.owners {
                // Someone's handshake may be at its end.
                Owners::Us => self.inner.poll_accept(cx),
                Owners::Others => {
                    self.queue = Queue::LeftToOthers;
                    Poll::Pending
                }
            },
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}

/// An IPv4 peer of a socket that takes both shows as `::ffff:1.2.3.4`; apps want to see `1.2.3.4`. A true IPv6 peer keeps its scope,
/// without which a link-local address means nothing.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip == addr.ip() => addr,
        ip => SocketAddr::new(ip, addr.port()),
    }
}

impl Listener for TcpListener {
    type Connection = TcpConnection;
    type Handshake = Ready<io::Result<TcpConnection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        let (stream, peer) = ready!(self.poll_stream(cx))?;
        // Not the listener's trouble: the peer has gone already.
        let connection = self.connection(stream, peer);
        Poll::Ready(Ok(Incoming::new(canonical(peer), ready(connection))))
    }

    fn stop(&mut self) -> Duration {
        match self.owners {
            Owners::Us => {
                self.queue = Queue::Stopped { left: usize::MAX };
                keep_out(&SockRef::from(&self.inner));
                ARRIVING
            }
            // A filter would stay with the socket, and shut the others out for good. Whoever is under way is theirs.
            Owners::Others => {
                self.queue = Queue::Stopped { left: LONGEST_QUEUE };
                Duration::ZERO
            }
        }
    }
}

/// Drops every SYN to the listening socket (a socket filter, socket(7)): no further handshake begins, so none is cut off when it closes.
/// A client that's kept out tries again, and is refused then.
///
/// Nothing but the SYN, for two reasons: the last ACK of a handshake that has begun has to come through (its client believes itself connected),
/// and a connection made from now on inherits the filter.
#[cfg(target_os = "linux")]
fn keep_out(socket: &SockRef<'_>) {
    use socket2::SockFilter;
    const SYN: u32 = 0x02;
    const SYN_OR_ACK: u32 = 0x12;
    // A TCP socket's filter sees the segment from its header on, whose flags are byte 13 (RFC 9293 3.1).
    let no_syn = [
        // BPF_LD | BPF_B | BPF_ABS
        SockFilter::new(0x30, 0, 0, 13),
        // BPF_ALU | BPF_AND | BPF_K
        SockFilter::new(0x54, 0, 0, SYN_OR_ACK),
        // BPF_JMP | BPF_JEQ | BPF_K: on to the next, or over it.
        SockFilter::new(0x15, 0, 1, SYN),
        // BPF_RET | BPF_K: pass no byte; pass all.
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    // Without it, the queue is still emptied; only what arrives in the last microseconds is lost.
    let _ = socket.attach_filter(&no_syn);
}

#[cfg(not(target_os = "linux"))]
fn keep_out(_: &SockRef<'_>) {}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tcp;
    use anyport_core::{Transport, Worker};
    use std::{
        future::poll_fn,
        net::{Ipv4Addr, Ipv6Addr, SocketAddrV6, TcpStream as Client},
    };

    fn adopted(owner: &net::TcpListener, workers: usize) -> Vec<TcpListener> {
        let tcp = Tcp::from_std(owner.try_clone().unwrap());
        let sockets = tcp.open(workers).unwrap().into_iter().enumerate();
        let listeners = sockets.map(|(index, socket)| tcp.listen(socket, &Worker::new(index, workers)));
        listeners.collect::<Result<_, _>>().unwrap()
    }

    fn owner() -> (net::TcpListener, SocketAddr) {
        let owner = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = owner.local_addr().unwrap();
        (owner, addr)
    }

    /// Who accepted, and for whom, is in the peer's address.
    async fn accept(listener: &mut TcpListener) -> SocketAddr {
        let incoming = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        incoming.peer.socket_addr().unwrap()
    }

    async fn is_idle(listener: &mut TcpListener) -> bool {
        poll_fn(|cx| Poll::Ready(listener.poll_accept(cx).is_pending())).await
    }

    #[tokio::test]
    async fn an_adopted_socket_is_not_shut_for_its_other_owners() {
        let (owner, addr) = owner();
        let mut both = adopted(&owner, 2);
        let early = Client::connect(addr).unwrap();
        assert_eq!(both[0].stop(), Duration::ZERO);
        assert_eq!(accept(&mut both[0]).await, early.local_addr().unwrap());
        assert!(is_idle(&mut both[0]).await);
        // This one is the other worker's, also if the first one is asked.
        let late = Client::connect(addr).unwrap();
        assert!(is_idle(&mut both[0]).await);
        assert_eq!(accept(&mut both[1]).await, late.local_addr().unwrap());
        both[1].stop();
        drop(both);
        let later = Client::connect(addr).unwrap();
        owner.set_nonblocking(false).unwrap();
        assert_eq!(owner.accept().unwrap().1, later.local_addr().unwrap());
    }

    #[tokio::test]
    async fn clients_without_end_do_not_keep_an_adopted_socket_open() {
        let (owner, addr) = owner();
        let mut listener = adopted(&owner, 1).remove(0);
        listener.stop();
        for _ in 0..LONGEST_QUEUE {
            let client = Client::connect(addr).unwrap();
            accept(&mut listener).await;
            // Reset, so that thousands of ports don't linger in TIME-WAIT.
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        let _next = Client::connect(addr).unwrap();
        assert!(is_idle(&mut listener).await);
    }

    #[test]
    fn a_link_local_peer_keeps_its_scope_and_a_mapped_one_is_shown_as_it_is() {
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 5, 3).into();
        assert_eq!(canonical(link_local), link_local);
        let mapped = (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 80).into();
        assert_eq!(canonical(mapped), (Ipv4Addr::LOCALHOST, 80).into());
        for same in [(Ipv6Addr::LOCALHOST, 80).into(), (Ipv4Addr::LOCALHOST, 80).into()] {
            assert_eq!(canonical(same), same);
        }
    }
}
