//! The contract of a listening socket on one worker.
use super::{Connected, Connection, Endpoint};
use crate::error::is_descriptor_limit;
#[cfg(unix)]
use rustix::io::Errno;
use std::{
    fmt,
    future::{Future, Ready},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// A listening socket on one worker. It accepts connections and never waits for a peer.
///
/// Steps that need the peer, such as a TLS handshake or a PROXY header, belong in the returned
/// [`Handshake`](Self::Handshake). The server runs it in the connection's own task, with a timeout.
/// So a client that sends nothing does not delay the others. A transport without such a step uses
/// `std::future::Ready`.
///
/// # Contract
///
/// - **Cancel safety**: no connection is lost if `poll_accept` has returned `Pending` and is then
///   called with another waker, or never again. A completion-based runtime keeps its operation in
///   the listener.
/// - **Wakers**: after a poll that returns `Pending`, the waker of the latest call is woken as soon
///   as there is a connection or an error.
/// - **An empty queue is `Pending`**, never an error of kind `WouldBlock`. Such an error wakes no
///   waker, so the server would have to poll again and again. In debug builds, the server ends with
///   an error; in others, it sends one [`Warning`](crate::observe::Event::Warning) and polls again
///   after a pause.
/// - **Errors are about the listener**: errors that a peer can cause belong in the handshake. Only
///   an error of accept(2) about a client that has gone is returned here. The server then retries
///   at once ([`AcceptErrorKind::Retry`]).
///
/// [`listener_fn`] turns an async function into a listener.
///
/// # Examples
///
/// ```
/// use anyport_core::{ConnInfo, Listener, transport::{Conn, Endpoint, Connecting}};
/// use hyper_util::rt::TokioIo;
/// use std::{future::Ready, io, task::{Context, Poll}};
/// use tokio::net::{UnixListener, UnixStream};
///
/// struct Sockets(UnixListener);
///
/// impl Listener for Sockets {
///     type Connection = Conn<TokioIo<UnixStream>>;
///     type Handshake = Ready<io::Result<Self::Connection>>;
///
///     fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connecting<Self::Handshake>>> {
///         self.0.poll_accept(cx).map_ok(|(stream, peer)| {
///             let info = ConnInfo::new(Endpoint::from(std::os::unix::net::SocketAddr::from(peer)), Endpoint::custom("unix"));
///             Connecting::ready(Conn::new(TokioIo::new(stream), info))
///         })
///     }
/// }
/// ```
pub trait Listener: Unpin + 'static {
    /// The connection after the handshake: nearly always a byte stream, a [`Connection`].
    type Connection: Connected;

    /// The steps before the connection can be used. The handshake of a wrapper begins with the
    /// inner one.
    type Handshake: Future<Output = io::Result<Self::Connection>> + 'static;

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// [`classify`](Self::classify) decides whether the server retries at once, waits, or ends.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>>;

    /// Prepares to close the listener for a drain. From now on `poll_accept` returns only
    /// connections that the kernel has queued already, and is pending after them. Then the server
    /// drops the listener.
    ///
    /// A transport that can refuse new connections does it here, so that none is lost between the
    /// last accept and the close.
    ///
    /// Returns how long to keep accepting: a TCP client may consider itself connected while the
    /// last packet of its handshake is still in flight. The server waits that long, but at most an
    /// eighth of the grace. The default does nothing and returns zero.
    fn stop(&mut self) -> Duration {
        Duration::ZERO
    }

    /// Classifies an error of `poll_accept`, except `WouldBlock`, which a listener must not return.
    /// The default classifies the errors of accept(2).
    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        AcceptErrorKind::of(error)
    }
}

/// A [`Listener`] of byte streams: the bound of wrappers such as TLS.
pub trait ByteListener: Listener<Connection: Connection> {}

impl<L: Listener<Connection: Connection>> ByteListener for L {}

/// An accepted connection before its handshake.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connecting<H> {
    /// The peer's address as known before its first byte. The accept filter and the limit per
    /// address use it, unless the peer is a proxy ([`from_proxy`](Self::from_proxy)).
    pub peer: Endpoint,
    /// The future that makes the connection usable.
    pub handshake: H,
    from_proxy: bool,
}

impl<H> Connecting<H> {
    /// Makes a connection with a handshake.
    pub fn new(peer: impl Into<Endpoint>, handshake: H) -> Self {
        Self {
            peer: peer.into(),
            handshake,
            from_proxy: false,
        }
    }

    /// Marks the peer as a proxy. The handshake names the client, by
    /// [`ConnInfo::with_client`](crate::ConnInfo::with_client).
    ///
    /// The accept filter and the limit per address skip the proxy. The server applies both after
    /// the handshake, to [`ConnInfo::peer`](crate::ConnInfo::peer).
    #[must_use]
    pub fn from_proxy(mut self) -> Self {
        self.from_proxy = true;
        self
    }

    /// Whether the peer is a proxy.
    #[must_use]
    pub fn is_from_proxy(&self) -> bool {
        self.from_proxy
    }

    /// Continues this handshake with another one: for transports that wrap others.
    pub fn map<U>(self, f: impl FnOnce(H) -> U) -> Connecting<U> {
        Connecting {
            peer: self.peer,
            handshake: f(self.handshake),
            from_proxy: self.from_proxy,
        }
    }
}

impl<C: Connected> Connecting<Ready<io::Result<C>>> {
    /// Makes a connection without a handshake.
    pub fn ready(connection: C) -> Self {
        Self {
            peer: connection.conn_info().peer().clone(),
            handshake: std::future::ready(Ok(connection)),
            from_proxy: false,
        }
    }
}

/// What an accept error means for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcceptErrorKind {
    /// The error is about one client that has gone: accept the next one at once.
    Retry,
    /// A resource (descriptors, memory) is exhausted: wait 5 ms, doubling to 1 s, until accepting
    /// works again.
    Backoff,
    /// The socket is unusable: the server ends with an error.
    Fatal,
}

impl AcceptErrorKind {
    /// Classifies an error of accept(2).
    ///
    /// EBADF, EINVAL and ENOTSOCK are `Fatal`, because waiting does not repair such a socket. So is
    /// an error of kind `Unsupported`, except EOPNOTSUPP on Linux, which is `Retry`. Unknown errors
    /// are `Backoff`, and so is `WouldBlock`, which a listener must not return.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            _ if is_connection_error(error) => Self::Retry,
            K::ConnectionAborted
            | K::ConnectionReset
            | K::ConnectionRefused
            | K::Interrupted
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown => Self::Retry,
            _ if is_descriptor_limit(error) => Self::Backoff,
            K::InvalidInput | K::Unsupported => Self::Fatal,
            _ if is_socket_error(error) => Self::Fatal,
            _ => Self::Backoff,
        }
    }
}

/// Linux returns pending errors of the new connection from accept, "to be treated like EAGAIN by
/// retrying" (accept(2)). EPERM comes from a firewall.
#[cfg(target_os = "linux")]
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::PERM
                | Errno::NONET
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
        )
    )
}

#[cfg(not(target_os = "linux"))]
fn is_connection_error(_: &io::Error) -> bool {
    false
}

/// The descriptor is closed or is not a socket; neither has an `io::ErrorKind`.
#[cfg(unix)]
fn is_socket_error(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::BADF | Errno::NOTSOCK)
    )
}

#[cfg(not(unix))]
fn is_socket_error(_: &io::Error) -> bool {
    false
}

/// A [`Listener`] made from an async function that accepts one connection.
///
/// The future is polled to its end, so the function need not be cancel safe.
///
/// ```
/// # use anyport_core::{ConnInfo, Listener, transport::{Conn, Endpoint, listener_fn}};
/// # use hyper_util::rt::TokioIo;
/// # use std::sync::Arc;
/// # fn f(listener: tokio::net::UnixListener) -> impl Listener {
/// let listener = Arc::new(listener);
/// listener_fn(move || {
///     let listener = listener.clone();
///     async move {
///         let (stream, _) = listener.accept().await?;
///         Ok(Conn::new(TokioIo::new(stream), ConnInfo::new(Endpoint::custom("client"), Endpoint::custom("server"))))
///     }
/// })
/// # }
/// ```
pub fn listener_fn<F, Fut, C>(accept: F) -> ListenerFn<F, Fut>
where
    F: FnMut() -> Fut + Unpin + 'static,
    Fut: Future<Output = io::Result<C>> + 'static,
    C: Connection,
{
    ListenerFn {
        accept,
        pending: None,
    }
}

/// The [`Listener`] that [`listener_fn`] returns.
pub struct ListenerFn<F, Fut> {
    accept: F,
    pending: Option<Pin<Box<Fut>>>,
}

impl<F, Fut> fmt::Debug for ListenerFn<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerFn").finish_non_exhaustive()
    }
}

impl<F, Fut, C> Listener for ListenerFn<F, Fut>
where
    F: FnMut() -> Fut + Unpin + 'static,
    Fut: Future<Output = io::Result<C>> + 'static,
    C: Connection,
{
    type Connection = C;
    type Handshake = Ready<io::Result<C>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let accept = &mut self.accept;
        let pending = self.pending.get_or_insert_with(|| Box::pin(accept()));
        let accepted = ready!(pending.as_mut().poll(cx));
        self.pending = None;
        Poll::Ready(accepted.map(Connecting::ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn accept_errors_are_classified_as_in_the_manual() {
        use AcceptErrorKind::{Backoff, Fatal, Retry};
        let cases: [(AcceptErrorKind, &[i32]); 3] = [
            // EPERM, EINTR, ENONET, EPROTO, ENOPROTOOPT, EOPNOTSUPP, ENETDOWN, ENETUNREACH,
            // ECONNABORTED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH
            (Retry, &[1, 4, 64, 71, 92, 95, 100, 101, 103, 104, 112, 113]),
            // EAGAIN, ENOMEM, EACCES, ENFILE, EMFILE, ENOSR, ENOBUFS, ETIMEDOUT, an unknown errno
            (Backoff, &[11, 12, 13, 23, 24, 63, 105, 110, 4000]),
            // EBADF, EINVAL, ENOTSOCK
            (Fatal, &[9, 22, 88]),
        ];
        for (kind, errnos) in cases {
            for &errno in errnos {
                let error = io::Error::from_raw_os_error(errno);
                assert_eq!(AcceptErrorKind::of(&error), kind, "{error}");
            }
        }
    }

    #[test]
    fn would_block_backs_off() {
        let error = io::ErrorKind::WouldBlock.into();
        assert_eq!(AcceptErrorKind::of(&error), AcceptErrorKind::Backoff);
    }
}
