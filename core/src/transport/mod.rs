//! The traits that the author of a transport implements (transport, listener, connection,
//! connector), and the types in their signatures.
//!
//! This layer has byte streams and facts about connections. It must not depend on a protocol or a
//! server.
mod conn_info;
mod connection;
mod connector;
mod drain;
mod endpoint;
mod handshake_timeout;
mod intercept;
mod listener;
mod map;
mod peer_cred;
mod permit;
mod proxied;
mod thread_bound_stream;
mod tls_info;

pub use conn_info::ConnInfo;
pub use connection::{Close, Conn, Connected, Connection, PeerState, delegate_io, delegate_write};
pub use connector::{Connector, Target};
pub use drain::Drain;
pub use endpoint::{Endpoint, UnixName};
pub use handshake_timeout::HandshakeTimeout;
pub use intercept::{Intercept, Intercepted, Writer};
pub use listener::{AcceptErrorKind, ByteListener, Connecting, Listener, ListenerFn, listener_fn};
pub use map::{MapConnection, MapFn, MapHandshake, MapHandshakeListener, MappedHandshake, ThenMap};
pub use peer_cred::PeerCred;
pub use permit::Permit;
pub use proxied::{Proxied, ProxiedTls};
pub use thread_bound_stream::{LocalStream, ThreadBoundStream};
pub use tls_info::{TlsInfo, TlsVersion};

pub(crate) use conn_info::{Admission, Moment, Number};
pub(crate) use drain::DrainBegins;
pub(crate) use handshake_timeout::poll_in_server;
pub(crate) use permit::Slot;

use crate::{
    error::Result,
    runtime::{Runtime, RuntimeOptions, Worker, Workers},
};
use std::{future::Future, io};

/// A description of where to listen, for [`serve_with`](crate::serve_with).
///
/// The server clones it for each worker. No socket is bound before [`open`](Self::open). A
/// transport of your own on tokio needs this trait, a [`Listener`], and no runtime code: name one
/// of the runtimes of [`runtime`](crate::runtime).
///
/// # Contract
///
/// - [`open`](Self::open) runs once, on the thread that starts the server, and returns one socket
///   per worker. Errors at start are found here, and port 0 is resolved here. Sockets are *std*
///   sockets or similar types without a runtime, so they can be adopted, inherited and handed over.
/// - [`listen`](Self::listen) runs on the worker's own thread, inside its runtime, and turns the
///   socket into a listener.
/// - **A transport that wraps another** forwards every method that it does not change, also those
///   with a default. [`map_connection`](Self::map_connection) and
///   [`map_handshake`](Self::map_handshake) do so.
///
/// # Examples
///
/// A complete transport over Unix sockets, with the listener shown at [`Listener`]:
///
/// ```
/// use anyport_core::{
///     Error, Listener, Result, Transport, runtime::{Tokio, Worker}, transport::{Conn, Endpoint},
/// };
/// use std::{io, os::unix::net, path::PathBuf};
/// # use hyper_util::rt::TokioIo;
/// # use anyport_core::transport::Connecting;
/// # use std::{future::Ready, task::{Context, Poll}};
/// # struct Sockets(tokio::net::UnixListener);
/// # impl Listener for Sockets {
/// #     type Connection = Conn<TokioIo<tokio::net::UnixStream>>;
/// #     type Handshake = Ready<io::Result<Self::Connection>>;
/// #     fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<io::Result<Connecting<Self::Handshake>>> { Poll::Pending }
/// # }
///
/// #[derive(Clone)]
/// struct UnixSocket(PathBuf);
///
/// impl Transport for UnixSocket {
///     type Runtime = Tokio;
///     type Socket = net::UnixListener;
///     type Listener = Sockets;
///
///     fn open(&self, workers: usize) -> Result<Vec<net::UnixListener>> {
///         let address = format!("unix:{}", self.0.display());
///         let bind = || {
///             let first = net::UnixListener::bind(&self.0)?;
///             first.set_nonblocking(true)?;
///             let mut all = vec![first];
///             for _ in 1..workers {
///                 all.push(all[0].try_clone()?);
///             }
///             Ok(all)
///         };
///         bind().map_err(|e| Error::bind(address, e))
///     }
///
///     fn endpoint(&self, socket: &net::UnixListener) -> io::Result<Endpoint> {
///         Ok(socket.local_addr()?.into())
///     }
///
///     fn listen(&self, socket: net::UnixListener, _: &Worker) -> io::Result<Sockets> {
///         Ok(Sockets(tokio::net::UnixListener::from_std(socket)?))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transport",
    label = "this is not a transport to serve over",
    note = "a transport describes where to listen, and over what: `Tcp::bind(\"127.0.0.1:3000\")`, for example, or `Tcp::bind(3000)`"
)]
pub trait Transport: Clone + Send + 'static {
    /// The runtime that polls its connections and decides whether they must be `Send`.
    type Runtime: Runtime;

    /// A bound and listening socket without a runtime.
    type Socket: Send + 'static;

    /// The listener of one worker.
    type Listener: Listener;

    /// The number of workers, unless the server sets another. Default: that of the runtime.
    fn workers(&self) -> Workers {
        Self::Runtime::WORKERS
    }

    /// The transport's options for its runtime, which reads them by [`Worker::runtime_options`]. A
    /// transport that wraps another forwards them. Default: none.
    fn runtime_options(&self) -> Option<RuntimeOptions> {
        None
    }

    /// Binds and listens: returns exactly one socket for each of the `workers`, of which there is
    /// at least one.
    ///
    /// # Errors
    ///
    /// [`Error::bind`](crate::Error::bind) makes an error with reason, address and advice.
    fn open(&self, workers: usize) -> Result<Vec<Self::Socket>>;

    /// The address of the socket, with port 0 resolved.
    ///
    /// # Errors
    ///
    /// The socket's error; then the server does not start.
    fn endpoint(&self, socket: &Self::Socket) -> io::Result<Endpoint>;

    /// Turns a socket into this worker's listener, inside the worker's runtime.
    ///
    /// # Errors
    ///
    /// After an error the server does not start.
    fn listen(&self, socket: Self::Socket, worker: &Worker) -> io::Result<Self::Listener>;

    /// Wraps each connection: the transport around this one forwards everything else. The function
    /// runs on the connection's worker, once the handshake is complete.
    ///
    /// [`Intercepted`] makes a connection that changes single operations of the inner one, and
    /// forwards the others.
    ///
    /// ```
    /// use anyport_core::{Connection, Transport, transport::{ByteTransport, Intercept, Intercepted}};
    /// use std::{io, pin::Pin, task::{Context, Poll}};
    ///
    /// struct LogShutdown;
    ///
    /// impl<C: Connection> Intercept<C> for LogShutdown {
    ///     fn poll_shutdown(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    ///         println!("the server ends the stream to {}", inner.info().peer());
    ///         inner.poll_shutdown(cx)
    ///     }
    /// }
    ///
    /// fn log_shutdown<T: ByteTransport>(transport: T) -> impl Transport {
    ///     transport.map_connection(|inner| Intercepted::new(inner, LogShutdown))
    /// }
    /// ```
    fn map_connection<F, C>(self, map: F) -> MapConnection<Self, F>
    where
        Self: Sized,
        F: Fn(<Self::Listener as Listener>::Connection) -> C + Clone + Send + 'static,
        C: Connected,
    {
        MapConnection::new(self, map)
    }

    /// Wraps each handshake: the future that makes an accepted connection usable. The transport
    /// around this one forwards everything else. The future runs in the connection's own task,
    /// under [`Timeouts::handshake`](crate::Timeouts::handshake).
    ///
    /// ```
    /// use anyport_core::{Transport, transport::Connected};
    /// use std::time::Instant;
    ///
    /// fn log_handshakes<T: Transport>(transport: T) -> impl Transport {
    ///     transport.map_handshake(|inner| async {
    ///         let begin = Instant::now();
    ///         let connection = inner.await?;
    ///         println!("{}: {:?}", connection.conn_info().peer(), begin.elapsed());
    ///         Ok(connection)
    ///     })
    /// }
    /// ```
    fn map_handshake<F, H, C>(self, map: F) -> MapHandshake<Self, F>
    where
        Self: Sized,
        F: Fn(<Self::Listener as Listener>::Handshake) -> H + Clone + Send + 'static,
        H: Future<Output = io::Result<C>> + 'static,
        C: Connected,
    {
        MapHandshake::new(self, map)
    }
}

/// A [`Transport`] of byte streams: the bound of wrappers such as TLS.
///
/// ```
/// use anyport_core::{Transport, transport::ByteTransport};
///
/// struct Throttled<T>(T);
///
/// fn throttle<T: ByteTransport>(transport: T) -> Throttled<T> {
///     Throttled(transport)
/// }
/// ```
pub trait ByteTransport: Transport<Listener: ByteListener> {}

impl<T: Transport<Listener: ByteListener>> ByteTransport for T {}
