//! A listening TCP socket on one worker.
use crate::TcpConnection;
use anyport_core::{ConnInfo, Endpoint, Listener, socket::SocketOptions};
use socket2::SockRef;
use std::{
    future::{Ready, ready},
    io,
    net::{self, SocketAddr},
    task::{Context, Poll, ready},
};
use tokio::net::TcpStream;

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
            self.options.apply_to_connection(SockRef::from(&stream))?;
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
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
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

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Handshake>> {
        let (stream, peer) = ready!(self.poll_stream(cx))?;
        // Not the listener's trouble: the peer has gone already.
        Poll::Ready(Ok(ready(self.connection(stream, peer))))
    }

    fn stop(&mut self) {
        self.stopped = true;
        keep_out(SockRef::from(&self.inner));
    }
}

/// Drops every packet to the listening socket (a socket filter that passes no byte, socket(7)): no further connection gets into its
/// queue, so none is reset when it closes. A client that's kept out tries again, and is refused then.
#[cfg(target_os = "linux")]
fn keep_out(socket: SockRef<'_>) {
    // BPF_RET | BPF_K, 0 bytes.
    let pass_nothing = socket2::SockFilter::new(0x06, 0, 0, 0);
    // Without it, the queue is still emptied; only what arrives in the last microseconds is lost.
    let _ = socket.attach_filter(&[pass_nothing]);
}

#[cfg(not(target_os = "linux"))]
fn keep_out(_: SockRef<'_>) {}

#[cfg(unix)]
impl std::os::fd::AsFd for TcpListener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
