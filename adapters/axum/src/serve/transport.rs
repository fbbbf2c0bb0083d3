//! A transport, made from any listener of `axum::serve`.
use anyport_core::{
    ConnInfo, Error, Listener, Result, Transport,
    error::ErrorKind,
    runtime::{Tokio, Worker},
    transport::{Conn, Connecting, Endpoint},
};
use axum::serve;
use hyper_util::rt::TokioIo;
use std::{
    fmt,
    future::{Future, Ready},
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

/// A transport made from a listener of `axum::serve`, on the tokio that the server is started in.
/// It adds limits, timeouts and the drain to an existing listener.
///
/// ```
/// use anyport_axum::transport;
/// use anyport_core::serve_with;
/// use axum::{Router, routing::get};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().route("/", get(async || "Hello!"));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?; // or any `axum::serve::Listener`
/// let running = serve_with(transport(listener), router).start()?;
/// # running.abort().await?;
/// # Ok(()) }
/// ```
///
/// For addresses that are not IP addresses, use [`transport_at`]. Such a listener cannot refuse new
/// clients, so a drain accepts them until it closes the listener; anyport's own transports refuse
/// them. The first server that is started gets the listener.
pub fn transport<L: serve::Listener<Addr: Into<Endpoint>>>(listener: L) -> AxumTransport<L> {
    transport_at(listener, Into::into)
}

/// Does the same as [`transport()`], with a function that converts the listener's addresses into
/// [`Endpoint`]s.
///
/// ```
/// # use anyport_axum::transport_at;
/// # use anyport_core::{Transport, transport::Endpoint};
/// # fn f(listener: tokio::net::UnixListener) -> impl Transport {
/// transport_at(listener, |addr| Endpoint::from(std::os::unix::net::SocketAddr::from(addr)))
/// # }
/// ```
pub fn transport_at<L: serve::Listener>(
    listener: L,
    endpoint: impl Fn(L::Addr) -> Endpoint + Send + Sync + 'static,
) -> AxumTransport<L> {
    AxumTransport {
        listener: Arc::new(Mutex::new(Some(listener))),
        endpoint: Arc::new(endpoint),
    }
}

type ToEndpoint<L> = Arc<dyn Fn(<L as serve::Listener>::Addr) -> Endpoint + Send + Sync>;

/// The transport that [`transport()`] and [`transport_at`] return.
pub struct AxumTransport<L: serve::Listener> {
    /// `None` after a server has taken it.
    listener: Arc<Mutex<Option<L>>>,
    endpoint: ToEndpoint<L>,
}

// The compiler must not suggest this type to users whose type is not a transport.
#[diagnostic::do_not_recommend]
impl<L: serve::Listener> Transport for AxumTransport<L> {
    type Runtime = Tokio;
    type Socket = L;
    type Listener = AxumConnections<L>;

    fn open(&self, workers: usize) -> Result<Vec<L>> {
        if workers != 1 {
            return Err(Error::config(format!(
                "a listener of axum cannot be shared by {workers} workers: keep the default number, or use a transport of anyport"
            )));
        }
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let listener = listener.take().ok_or_else(|| {
            Error::new(
                ErrorKind::Bind,
                "cannot use this listener of axum: another server has it already (bind a new one)",
            )
        })?;
        Ok(vec![listener])
    }

    fn endpoint(&self, listener: &L) -> io::Result<Endpoint> {
        Ok((self.endpoint)(listener.local_addr()?))
    }

    fn listen(&self, listener: L, _: &Worker) -> io::Result<AxumConnections<L>> {
        Ok(AxumConnections {
            local: self.endpoint(&listener)?,
            endpoint: Arc::clone(&self.endpoint),
            state: State::Idle(listener),
        })
    }
}

/// An anyport listener around a listener of axum.
pub struct AxumConnections<L: serve::Listener> {
    local: Endpoint,
    endpoint: ToEndpoint<L>,
    state: State<L>,
}

/// An accept is polled to its end, because it need not be cancel safe.
enum State<L: serve::Listener> {
    Idle(L),
    Accepting(Accepting<L>),
    /// The accept panicked.
    Gone,
}

/// The pinned future is boxed.
impl<L: serve::Listener> Unpin for AxumConnections<L> {}

type Accepting<L> = Pin<Box<dyn Future<Output = (L, Accepted<L>)> + Send>>;
type Accepted<L> = (<L as serve::Listener>::Io, <L as serve::Listener>::Addr);

impl<L: serve::Listener> Listener for AxumConnections<L> {
    type Connection = Conn<TokioIo<L::Io>>;
    type Handshake = Ready<io::Result<Self::Connection>>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let mut accepting = match std::mem::replace(&mut self.state, State::Gone) {
            State::Idle(mut listener) => Box::pin(async move {
                let accepted = listener.accept().await;
                (listener, accepted)
            }),
            State::Accepting(accepting) => accepting,
            State::Gone => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        };
        let Poll::Ready((listener, (stream, peer))) = accepting.as_mut().poll(cx) else {
            self.state = State::Accepting(accepting);
            return Poll::Pending;
        };
        self.state = State::Idle(listener);
        let info = ConnInfo::new((self.endpoint)(peer), self.local.clone());
        Poll::Ready(Ok(Connecting::ready(Conn::new(TokioIo::new(stream), info))))
    }
}

impl<L: serve::Listener> Clone for AxumTransport<L> {
    fn clone(&self) -> Self {
        Self {
            listener: Arc::clone(&self.listener),
            endpoint: Arc::clone(&self.endpoint),
        }
    }
}

impl<L: serve::Listener> fmt::Debug for AxumTransport<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AxumTransport").finish_non_exhaustive()
    }
}

impl<L: serve::Listener> fmt::Debug for AxumConnections<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AxumConnections")
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}
