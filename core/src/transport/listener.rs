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

/// A listening socket on one worker: hands out connections, never waits for a peer.
///
/// Whatever needs the peer (a TLS handshake, a PROXY header) is not done here but in the returned
/// [`Handshake`](Self::Handshake), which the server runs in the connection's own task, under a
/// deadline. So a silent client delays nobody. A transport without such a phase uses
/// `std::future::Ready`.
///
/// # Contract
///
/// - **Cancel safety**: there's nothing to cancel. A `poll_accept` that returned `Pending` may
///   never be called again, or by another waker; no connection is lost by it. A completion runtime
///   keeps its operation in the listener.
/// - **Wakers**: the waker of the latest call is woken.
/// - **Nobody there is `Pending`**, never an error of kind `WouldBlock`: nothing would wake the
///   server then, so it has to ask again and again.
/// - **Errors are about the listener**, never about one client: what a peer can cause belongs into
///   the handshake.
///
/// Have an async function instead of a poll function? See [`listener_fn`].
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
    /// What it hands out, after the handshake: nearly always a byte stream, a [`Connection`].
    type Connection: Connected;

    /// What has to happen before the connection can be used. Chains: a wrapper's handshake begins
    /// with the inner one.
    type Handshake: Future<Output = io::Result<Self::Connection>> + 'static;

    /// Accepts the next connection.
    ///
    /// # Errors
    ///
    /// What [`classify`](Self::classify) makes of it decides: retry at once, wait a little, or end
    /// the server.
    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>>;

    /// The listener is about to be closed, because the server drains. From now on `poll_accept`
    /// gives only what the kernel has queued already, and is pending when that's been given; then
    /// the listener is dropped.
    ///
    /// A transport that can keep new connections out, does it here, so that none is lost between
    /// the last accept and the close. It gives back how long clients may still arrive that have
    /// been let in already, from their point of view (for TCP: the last packet of their handshake
    /// is under way); the listener stays open for so long, but no longer than an eighth of the
    /// grace. The default does nothing, and gives zero.
    fn stop(&mut self) -> Duration {
        Duration::ZERO
    }

    /// What to do about an error of `poll_accept`. The default knows the errors of accept(2).
    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        AcceptErrorKind::of(error)
    }
}

/// A [`Listener`] of byte streams, for the bounds of those that wrap any of them.
pub trait ByteListener: Listener<Connection: Connection> {}

impl<L: Listener<Connection: Connection>> ByteListener for L {}

/// A connection that was just accepted: who it is, and what has to happen before it can be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connecting<H> {
    /// Who connected, as far as it's known without a word from them: what an accept filter and the
    /// limit per address go by.
    pub peer: Endpoint,
    /// The handshake.
    pub handshake: H,
}

impl<H> Connecting<H> {
    /// A connection that needs a handshake.
    pub fn new(peer: impl Into<Endpoint>, handshake: H) -> Self {
        Self {
            peer: peer.into(),
            handshake,
        }
    }

    /// The same with a handshake that goes on from this one; for transports that wrap others.
    pub fn map<U>(self, f: impl FnOnce(H) -> U) -> Connecting<U> {
        Connecting {
            peer: self.peer,
            handshake: f(self.handshake),
        }
    }
}

impl<C: Connected> Connecting<Ready<io::Result<C>>> {
    /// A connection that needs none.
    pub fn ready(connection: C) -> Self {
        Self {
            peer: connection.conn_info().peer().clone(),
            handshake: std::future::ready(Ok(connection)),
        }
    }
}

/// What an accept error means for the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcceptErrorKind {
    /// It was about one client, who's of no use any more: accept the next at once.
    Retry,
    /// Something is used up (descriptors, memory): wait 5 ms, doubling to 1 s, until accepting
    /// works again.
    Backoff,
    /// The socket is of no use any more: the server ends with an error.
    Fatal,
}

impl AcceptErrorKind {
    /// The meaning of an error of accept(2).
    ///
    /// `Fatal` are only EBADF, EINVAL and ENOTSOCK, and an error of kind `Unsupported` that isn't
    /// the kernel's: no waiting brings such a socket back. Whatever is unknown is met with a
    /// `Backoff`, and so is `WouldBlock`, which a listener should never give.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            _ if is_of_the_connection(error) => Self::Retry,
            K::ConnectionAborted
            | K::ConnectionReset
            | K::ConnectionRefused
            | K::Interrupted
            | K::HostUnreachable
            | K::NetworkUnreachable
            | K::NetworkDown => Self::Retry,
            _ if is_descriptor_limit(error) => Self::Backoff,
            K::InvalidInput | K::Unsupported => Self::Fatal,
            _ if is_of_the_socket(error) => Self::Fatal,
            _ => Self::Backoff,
        }
    }
}

/// Linux reports an error that the new connection has already as accept's own, "to be treated like
/// EAGAIN by retrying" (accept(2)). PERM is a firewall's.
#[cfg(target_os = "linux")]
fn is_of_the_connection(error: &io::Error) -> bool {
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
fn is_of_the_connection(_: &io::Error) -> bool {
    false
}

/// It's closed, or is none: that has no `io::ErrorKind`.
#[cfg(unix)]
fn is_of_the_socket(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::BADF | Errno::NOTSOCK)
    )
}

#[cfg(not(unix))]
fn is_of_the_socket(_: &io::Error) -> bool {
    false
}

/// A [`Listener`] of an async function that accepts one connection.
///
/// The function's future is kept until it's done, so it need not be cancel safe.
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

/// The [`Listener`] that [`listener_fn`] gives.
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
    fn errors_of_accept_are_told_apart_as_its_manual_says() {
        use AcceptErrorKind::{Backoff, Fatal, Retry};
        let cases: [(AcceptErrorKind, &[i32]); 3] = [
            // EPERM, EINTR, ENONET, EPROTO, ENOPROTOOPT, EOPNOTSUPP, ENETDOWN, ENETUNREACH,
            // ECONNABORTED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH
            (Retry, &[1, 4, 64, 71, 92, 95, 100, 101, 103, 104, 112, 113]),
            // EAGAIN, ENOMEM, EACCES, ENFILE, EMFILE, ENOSR, ENOBUFS, ETIMEDOUT, one that nobody
            // knows
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
    fn a_listener_that_would_block_is_not_asked_again_at_once() {
        let error = io::ErrorKind::WouldBlock.into();
        assert_eq!(AcceptErrorKind::of(&error), AcceptErrorKind::Backoff);
    }
}
