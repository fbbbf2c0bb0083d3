//! Sockets that connect: the builder of connectors on any runtime.
use super::{SocketOptions, canonical};
use crate::transport::{ConnInfo, Connection, Connector, Endpoint, Target};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    fmt,
    future::{Future, Ready, ready},
    io,
    marker::PhantomData,
    net::{IpAddr, SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// How a runtime connects its sockets. [`SocketConnector`] is the builder for all of them.
pub trait Dial: 'static {
    /// What it connects to, for an error: `an IP address and a port`.
    const EXPECTS: &str;

    /// The connection.
    type Connection: Connection;

    /// The future that connects. Dropping it closes the socket.
    type Dialing: Future<Output = io::Result<Self::Connection>> + 'static;

    /// Connects to an endpoint, inside the runtime. `None`: it does not connect to this kind of
    /// endpoint. [`SocketConnector`] adds the target to errors of the future.
    fn dial(endpoint: &Endpoint, options: &ConnectOptions) -> Option<Self::Dialing>;
}

/// The options of a connector's sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The local IP address to connect from. Default: the kernel's choice. It does not apply to
    /// Unix sockets.
    pub local_address: Option<IpAddr>,
    /// The options of a TCP socket. `backlog` and `v6_only` do not apply.
    pub socket: SocketOptions,
}

impl ConnectOptions {
    /// A non-blocking TCP socket with these options, which is not connected yet.
    ///
    /// # Errors
    ///
    /// No descriptor is left, the system lacks an option, or the local address cannot be used.
    pub fn tcp_socket(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.socket.apply_before_connect(&socket)?;
        if let Some(local) = self.local_address {
            bind(&socket, local, to)?;
        }
        Ok(socket.into())
    }

    /// Whether an option must be set before the socket connects. If not, and a runtime connects
    /// sockets of its own, [`SocketOptions::apply_to_connection`] sets the options afterwards.
    #[must_use]
    pub fn precede_connect(&self) -> bool {
        self.local_address.is_some()
            || self.socket.user_timeout.is_some()
            || self.socket.recv_buffer.is_some()
            || self.socket.send_buffer.is_some()
    }
}

fn bind(socket: &Socket, local: IpAddr, to: SocketAddr) -> io::Result<()> {
    if local.is_ipv4() != to.is_ipv4() {
        let what = format!(
            "the local address {local} is not of the same family (choose one of that family, or none)"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    socket.bind(&SocketAddr::new(local, 0).into()).map_err(|e| {
        io::Error::new(
            e.kind(),
            format!("cannot bind the local address {local}: {e}"),
        )
    })
}

/// Begins to connect a non-blocking socket. `true`: it is connected already. `false`: wait until it
/// is writable, then call [`connected`].
///
/// # Errors
///
/// As connect(2).
pub fn start_connect(socket: &TcpStream, to: SocketAddr) -> io::Result<bool> {
    match SockRef::from(socket).connect(&to.into()) {
        Ok(()) => Ok(true),
        Err(e) if Errno::from_io_error(&e) == Some(Errno::INPROGRESS) => Ok(false),
        // On Windows.
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // The attempt goes on (connect(2)).
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(e) => Err(e),
    }
}

/// The facts of a socket that is connected, once it has become writable. `None`: it still connects,
/// so the runtime has reported it too early.
///
/// # Errors
///
/// The attempt has failed.
pub fn connected(socket: &TcpStream, to: SocketAddr) -> io::Result<Option<ConnInfo>> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(Some(ConnInfo::new(to, canonical(socket.local_addr()?)))),
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Ok(None),
        Err(e) => Err(e),
    }
}

/// Connects the sockets of a runtime: the type behind `TcpConnector`, `MonoioConnector` and the
/// others.
///
/// For a runtime of your own, implement [`Dial`], and write `pub type MyConnector =
/// SocketConnector<MyDial>`. For anything else, implement [`Connector`].
pub struct SocketConnector<D> {
    options: ConnectOptions,
    runtime: PhantomData<fn() -> D>,
}

impl<D: Dial> SocketConnector<D> {
    /// A connector with the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects from this IP address. A target of the other family is then an error of kind
    /// [`InvalidInput`](io::ErrorKind). Default: the kernel chooses.
    #[must_use]
    pub fn with_local_address(mut self, address: impl Into<IpAddr>) -> Self {
        self.options.local_address = Some(address.into());
        self
    }

    /// Whether small writes are sent at once (TCP_NODELAY). Default: yes.
    #[must_use]
    pub fn with_nodelay(mut self, nodelay: bool) -> Self {
        self.options.socket.nodelay = nodelay;
        self
    }

    /// Sends keep-alive probes on connections idle for this long. Default: never.
    #[must_use]
    pub fn with_keepalive(mut self, idle: Duration) -> Self {
        self.options.socket.keepalive = Some(idle);
        self
    }

    /// How long sent data may stay unacknowledged (TCP_USER_TIMEOUT; Linux only). Default: the
    /// kernel's.
    #[must_use]
    pub fn with_user_timeout(mut self, timeout: Duration) -> Self {
        self.options.socket.user_timeout = Some(timeout);
        self
    }

    /// Sets all options of TCP sockets. `backlog` and `v6_only` do not apply.
    #[must_use]
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options.socket = options;
        self
    }
}

impl<D: Dial> Connector for SocketConnector<D> {
    type Connection = D::Connection;
    type Connecting = SocketConnecting<D>;
    type Handshake = Ready<io::Result<D::Connection>>;

    fn connect(&self, target: &Target) -> SocketConnecting<D> {
        SocketConnecting {
            dialing: D::dial(target.endpoint(), &self.options),
            target: target.clone(),
        }
    }
}

pin_project_lite::pin_project! {
    /// A [`SocketConnector`] that connects.
    #[must_use = "futures do nothing unless polled"]
    pub struct SocketConnecting<D: Dial> {
        // `None`: the endpoint is of another kind.
        #[pin]
        dialing: Option<D::Dialing>,
        target: Target,
    }
}

impl<D: Dial> Future for SocketConnecting<D> {
    type Output = io::Result<Ready<io::Result<D::Connection>>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = self.project();
        let Some(dialing) = me.dialing.as_pin_mut() else {
            return Poll::Ready(Err(me.target.unsupported(D::EXPECTS)));
        };
        Poll::Ready(match ready!(dialing.poll(cx)) {
            Ok(connection) => Ok(ready(Ok(connection))),
            Err(error) => Err(me.target.error(error)),
        })
    }
}

impl<D> Default for SocketConnector<D> {
    fn default() -> Self {
        Self {
            options: ConnectOptions::default(),
            runtime: PhantomData,
        }
    }
}

impl<D> Clone for SocketConnector<D> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            runtime: PhantomData,
        }
    }
}

impl<D> fmt::Debug for SocketConnector<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketConnector")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<D: Dial> fmt::Debug for SocketConnecting<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketConnecting")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
