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

/// A listening TCP socket on one worker.
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
    options: SocketOptions,
    /// The address of every connection; none, if each has to be asked (a socket that listens on all interfaces).
    local: Option<Endpoint>,
    stopped: bool,
}

impl TcpListener {
    pub(crate) fn new(listener: net::TcpListener, options: SocketOptions) -> io::Result<Self> {
        let local = listener.local_addr()?;
        Ok(Self {
            inner: tokio::net::TcpListener::from_std(listener)?,
            options,
            local: (!local.ip().is_unspecified()).then(|| local.into()),
            stopped: false,
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
        if !self.stopped {
            return self.inner.poll_accept(cx);
        }
        // What the reactor knows is a little old, and now it matters: the kernel is asked itself.
        match SockRef::from(&self.inner).accept() {
            Ok((socket, peer)) => {
                socket.set_nonblocking(true)?;
                let stream = TcpStream::from_std(socket.into())?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?;
                Poll::Ready(Ok((stream, peer)))
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.inner.poll_accept(cx),
            Err(e) => Poll::Ready(Err(e)),
        }
    }
}

/// An IPv4 peer of a socket that takes both shows as `::ffff:1.2.3.4`; apps want to see `1.2.3.4`.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
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
        self.stopped = true;
        keep_out(&SockRef::from(&self.inner));
        ARRIVING
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
