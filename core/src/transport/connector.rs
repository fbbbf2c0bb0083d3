//! The contract of the client's half of a transport.
use super::{Connection, Endpoint};
use std::{error, fmt, future::Future, io, sync::Arc};

/// The client's half of a transport: it connects to one endpoint.
///
/// A connector looks up no name, tries no second address, and spawns nothing. All of that belongs
/// to its caller, so it is the same over every transport. The connection is of the same kind as a
/// server's: `hyper::client::conn` takes it, and so does any code that reads and writes bytes. In
/// its [`ConnInfo`](crate::ConnInfo), the peer is the server.
///
/// # Contract
///
/// - **Two phases**: [`Connecting`](Self::Connecting) waits for the network only. An exchange with
///   the peer's program, such as a TLS handshake, belongs in [`Handshake`](Self::Handshake). So a
///   caller that tries several addresses at once makes a handshake only with the first that
///   connects.
/// - **Nothing happens before the first poll** of a phase, except checks of the target.
/// - **Cancel safety**: dropping a phase ends the attempt and closes its socket. A
///   completion-based runtime cancels its operation first, and leaks neither.
/// - **No deadline**: the caller sets one, and drops the phase when the time is up.
/// - **Where it runs**: inside a runtime of the transport, and, unless the documentation says more,
///   on the thread where the connection is used.
///
/// # Errors
///
/// An error names the target and keeps the system's kind: [`Target::error`] makes it. An endpoint
/// of a kind that this connector does not support is [`Unsupported`](io::ErrorKind):
/// [`Target::unsupported`] makes it. An endpoint that no connector can connect to, such as an
/// unnamed Unix socket, is [`InvalidInput`](io::ErrorKind).
///
/// # Examples
///
/// A complete connector for Unix sockets on tokio:
///
/// ```
/// use anyport_core::{
///     ConnInfo, transport::{Conn, Connector, Endpoint, Target, UnixName},
/// };
/// use hyper_util::rt::TokioIo;
/// use std::{future::{Future, Ready, ready}, io, pin::Pin};
/// use tokio::net::UnixStream;
///
/// #[derive(Clone)]
/// struct UnixSockets;
///
/// impl Connector for UnixSockets {
///     type Connection = Conn<TokioIo<UnixStream>>;
///     type Connecting = Pin<Box<dyn Future<Output = io::Result<Self::Handshake>> + Send>>;
///     type Handshake = Ready<io::Result<Self::Connection>>;
///
///     fn connect(&self, target: &Target) -> Self::Connecting {
///         let target = target.clone();
///         Box::pin(async move {
///             let Endpoint::Unix(UnixName::Path(path)) = target.endpoint() else {
///                 return Err(target.unsupported("a path"));
///             };
///             let stream = UnixStream::connect(path).await.map_err(|e| target.error(e))?;
///             let info = ConnInfo::new(target.endpoint().clone(), Endpoint::Unix(UnixName::Unnamed));
///             Ok(ready(Ok(Conn::new(TokioIo::new(stream), info))))
///         })
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let path = std::env::temp_dir().join(format!("anyport-connector-{}.sock", std::process::id()));
/// # let listener = tokio::net::UnixListener::bind(&path).unwrap();
/// # let connection = UnixSockets.connect(&Target::new(Endpoint::Unix(UnixName::Path(path.as_path().into())))).await.unwrap().await.unwrap();
/// # use anyport_core::Connection;
/// # assert!(connection.info().peer().to_string().starts_with("unix:/"));
/// # drop(listener); std::fs::remove_file(path).unwrap();
/// # });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connector",
    label = "this does not connect to an endpoint",
    note = "a connector is the client's half of a transport: `TcpConnector::new()`, for example"
)]
pub trait Connector: Clone + 'static {
    /// The connection after both phases.
    type Connection: Connection;

    /// The first phase: the socket connects.
    type Connecting: Future<Output = io::Result<Self::Handshake>> + 'static;

    /// The second phase, such as a TLS handshake. `std::future::Ready` if there is none. The
    /// handshake of a wrapper begins with the inner one.
    type Handshake: Future<Output = io::Result<Self::Connection>> + 'static;

    /// Begins to connect to one endpoint.
    fn connect(&self, target: &Target) -> Self::Connecting;
}

/// Where to connect: one endpoint, and the name under which it was found.
///
/// ```
/// # use anyport_core::transport::Target;
/// # use std::net::SocketAddr;
/// let address = SocketAddr::from(([192, 0, 2, 1], 443));
/// assert_eq!(Target::new(address).to_string(), "192.0.2.1:443");
/// let named = Target::new(address).with_host("example.com");
/// assert_eq!(named.to_string(), "192.0.2.1:443 (example.com)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    endpoint: Endpoint,
    host: Option<Arc<str>>,
}

impl Target {
    /// An endpoint without a name.
    pub fn new(endpoint: impl Into<Endpoint>) -> Self {
        Self {
            endpoint: endpoint.into(),
            host: None,
        }
    }

    /// Sets the name of the host, without a port: a DNS name, or an IP address as text. TLS sends
    /// it to the server and verifies the certificate by it.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<Arc<str>>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The endpoint to connect to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The name of the host. `None`: the endpoint was given as an address.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Adds the target to an error and keeps its kind: `cannot connect to 127.0.0.1:1: Connection
    /// refused (os error 111)`.
    ///
    /// The [source](error::Error::source) of [`io::Error::get_ref`] is the error that was passed.
    #[must_use]
    pub fn error(&self, error: io::Error) -> io::Error {
        let kind = error.kind();
        let target = self.clone();
        io::Error::new(kind, ConnectError { target, error })
    }

    /// An error of kind [`Unsupported`](io::ErrorKind): the connector does not support this kind of
    /// endpoint. `expected` names the kinds that it supports: `an IP address and a port`.
    #[must_use]
    pub fn unsupported(&self, expected: &str) -> io::Error {
        self.error(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("this connector expects {expected}"),
        ))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(f, "{} ({host})", self.endpoint),
            None => self.endpoint.fmt(f),
        }
    }
}

impl<E: Into<Endpoint>> From<E> for Target {
    fn from(endpoint: E) -> Self {
        Self::new(endpoint)
    }
}

/// The inner error of [`Target::error`].
#[derive(Debug)]
struct ConnectError {
    target: Target,
    error: io::Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: {}", self.target, self.error)
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn error_names_the_target_and_keeps_kind_and_source() {
        let target = Target::new(SocketAddr::from(([127, 0, 0, 1], 1))).with_host("example.com");
        let error = target.error(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = "cannot connect to 127.0.0.1:1 (example.com): connection refused";
        assert_eq!(error.to_string(), text);
        let source = error.get_ref().and_then(|e| e.source()).unwrap();
        assert_eq!(source.to_string(), "connection refused");
    }

    #[test]
    fn unsupported_endpoint_says_what_is_expected() {
        let error = Target::new(Endpoint::custom("vsock:3:9")).unsupported("an IP address");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let text = "cannot connect to vsock:3:9: this connector expects an IP address";
        assert_eq!(error.to_string(), text);
    }
}
