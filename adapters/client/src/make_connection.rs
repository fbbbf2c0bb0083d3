//! How connections are made: a trait, and factories for fixed endpoints and for functions.
use crate::Origin;
use anyport_core::{
    Connection,
    transport::{Connector, Endpoint, Target},
};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A connection factory: makes the connections of a client.
///
/// [`Names`](crate::Names) connects to the host of the origin, [`Fixed`] always to the same
/// endpoint. [`make_connection_fn`] makes a factory from an async function.
///
/// # Contract
///
/// The client polls the future in a task of its own, with the [connect
/// timeout](crate::Builder::connect_timeout) as its deadline, and drops it at the deadline. If the
/// connection's ALPN protocol is `h2`, the client speaks HTTP/2, and HTTP/1.1 otherwise.
///
/// # Errors
///
/// One request that waits for a connection to this origin gets the error.
pub trait MakeConnection: 'static {
    /// The connection.
    type Connection: Connection;
    /// The future of a connection.
    type Future: Future<Output = io::Result<Self::Connection>> + 'static;

    /// Begins to connect to an origin.
    fn make_connection(&self, origin: &Origin) -> Self::Future;
}

/// Connects to the same endpoint for every origin, such as a Unix socket.
///
/// ```
/// use anyport_client::{Client, Fixed};
/// use anyport_core::{Body, transport::{Endpoint, UnixName}};
/// use anyport_unix::UnixConnector;
/// use std::path::Path;
///
/// let socket = Endpoint::Unix(UnixName::Path(Path::new("/run/app.sock").into()));
/// let client: Client<_, Body> = Client::builder(Fixed::new(UnixConnector::new(), socket)).build();
/// ```
#[derive(Clone, Debug)]
pub struct Fixed<C> {
    connector: C,
    endpoint: Endpoint,
}

impl<C: Connector> Fixed<C> {
    /// Connects to `endpoint` with `connector`.
    pub fn new(connector: C, endpoint: impl Into<Endpoint>) -> Self {
        Self {
            connector,
            endpoint: endpoint.into(),
        }
    }
}

impl<C: Connector> MakeConnection for Fixed<C> {
    type Connection = C::Connection;
    type Future = BothPhases<C>;

    fn make_connection(&self, origin: &Origin) -> BothPhases<C> {
        let target = Target::new(self.endpoint.clone()).with_host(origin.host());
        BothPhases(Phase::Connecting(Box::pin(self.connector.connect(&target))))
    }
}

/// The future of [`Fixed`]: both phases of a connector.
#[must_use = "futures do nothing unless polled"]
pub struct BothPhases<C: Connector>(Phase<C>);

enum Phase<C: Connector> {
    Connecting(Pin<Box<C::Connecting>>),
    Handshake(Pin<Box<C::Handshake>>),
}

impl<C: Connector> Future for BothPhases<C> {
    type Output = io::Result<C::Connection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut self.0 {
                Phase::Connecting(connecting) => {
                    let handshake = ready!(connecting.as_mut().poll(cx))?;
                    self.0 = Phase::Handshake(Box::pin(handshake));
                }
                Phase::Handshake(handshake) => return handshake.as_mut().poll(cx),
            }
        }
    }
}

impl<C: Connector> fmt::Debug for BothPhases<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BothPhases").finish_non_exhaustive()
    }
}

/// A factory of an async function.
///
/// ```
/// use anyport_client::{Client, Origin, make_connection_fn};
/// use anyport_core::{Body, transport::{Connector, Target}};
/// use anyport_tcp::TcpConnector;
/// use std::net::{Ipv4Addr, SocketAddr};
///
/// // Every name is this machine.
/// let factory = make_connection_fn(|origin: &Origin| {
///     let target = Target::new(SocketAddr::from((Ipv4Addr::LOCALHOST, origin.port())));
///     async move { TcpConnector::new().connect(&target).await?.await }
/// });
/// let client: Client<_, Body> = Client::builder(factory).build();
/// ```
pub fn make_connection_fn<F, Fut, C>(connect: F) -> MakeConnectionFn<F>
where
    F: Fn(&Origin) -> Fut + 'static,
    Fut: Future<Output = io::Result<C>> + 'static,
    C: Connection,
{
    MakeConnectionFn(connect)
}

/// The factory of [`make_connection_fn`].
#[derive(Clone)]
pub struct MakeConnectionFn<F>(F);

impl<F, Fut, C> MakeConnection for MakeConnectionFn<F>
where
    F: Fn(&Origin) -> Fut + 'static,
    Fut: Future<Output = io::Result<C>> + 'static,
    C: Connection,
{
    type Connection = C;
    type Future = Fut;

    fn make_connection(&self, origin: &Origin) -> Fut {
        (self.0)(origin)
    }
}

impl<F> fmt::Debug for MakeConnectionFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeConnectionFn").finish_non_exhaustive()
    }
}
