//! A listener for `axum::serve`, made from any transport on the ambient tokio.
use super::handshakes::Handshakes;
use crate::ConnectionInfo;
use anyport_core::{
    Connection as _, Error, Listener, Result, Runtime,
    runtime::{Tokio, Worker},
    transport::{AcceptErrorKind, ByteListener, ByteTransport, Endpoint},
};
use axum::{
    extract::connect_info::Connected,
    serve::{self, IncomingStream, TapIo},
};
use hyper_util::rt::TokioIo;
use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// The first and the longest wait after an accept error of kind `Backoff`.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// The maximum number of connections accepted per poll, for fair scheduling.
const ACCEPTS_PER_POLL: usize = 64;

/// The protocols of `axum::serve` (RFC 7301 6).
const ALPN: &[&[u8]] = if cfg!(feature = "http2") {
    &[b"h2", b"http/1.1"]
} else {
    &[b"http/1.1"]
};

/// A listener for `axum::serve` on any transport that runs on tokio.
///
/// Handshakes run concurrently, each in its own task, so that a slow or silent client delays no
/// other. A handshake is aborted after 10 s
/// ([`with_handshake_timeout`](AxumListener::with_handshake_timeout)). With
/// `into_make_service_with_connect_info::<ConnectionInfo>()`, all extractors of this crate work.
/// Unlike [`serve_with`](anyport_core::serve_with), `axum::serve` has no limits, no timeouts and no
/// drain.
///
/// ```
/// use anyport_axum::{ConnectionInfo, Peer, listener};
/// use axum::{Router, routing::get};
/// # use anyport_memory::Memory;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let router = Router::new().route("/", get(async |Peer(peer): Peer| format!("Hello, {peer}!")));
/// # let transport = Memory::new();
/// let listener = listener(transport)?; // Tcp, Unix, Memory or another
/// let serving = axum::serve(listener, router.into_make_service_with_connect_info::<ConnectionInfo>());
/// # let ready = serving.with_graceful_shutdown(async {});
/// # ready.await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// The transport cannot bind, or this thread has no tokio runtime.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a transport is handed over, as to `serve_with`"
)]
pub fn listener<T: ByteTransport<Runtime = Tokio>>(
    transport: T,
) -> Result<AxumListener<T::Listener>> {
    Tokio::check()?;
    let mut sockets = transport.open(1)?;
    let (Some(socket), true) = (sockets.pop(), sockets.is_empty()) else {
        return Err(Error::config(
            "the transport did not open one socket for one worker: `Transport::open` must return one for each",
        ));
    };
    let local = transport.endpoint(&socket);
    let local = local.map_err(|e| Error::start("learn the address of a bound socket", e))?;
    let listener = transport.listen(socket, &Worker::new(0, 1).with_alpn(ALPN));
    Ok(AxumListener {
        listener: listener.map_err(|e| Error::start("listen", e))?,
        local,
        handshakes: Handshakes::default(),
        wait: BACKOFF.0,
        waiting: None,
    })
}

/// The listener for `axum::serve` that [`listener()`] returns. Its addresses are [`Endpoint`]s. Its
/// streams are anyport's connections with tokio's `AsyncRead` and `AsyncWrite`: in `tap_io`,
/// `io.inner().info()` returns the facts.
///
/// Dropping it aborts the handshakes in progress. `axum::serve` drops it when its shutdown begins.
pub struct AxumListener<L: Listener> {
    listener: L,
    local: Endpoint,
    handshakes: Handshakes<L::Connection>,
    wait: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<L: Listener> AxumListener<L> {
    /// The timeout of a handshake. Default: 10 s, as
    /// [`Timeouts::handshake`](anyport_core::Timeouts).
    #[must_use]
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshakes.timeout = timeout;
        self
    }

    /// The address of the listener, with port 0 resolved.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.local
    }
}

impl<L> AxumListener<L>
where
    L: Listener<Handshake: Send>,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<L::Connection> {
        for _ in 0..ACCEPTS_PER_POLL {
            if let Some(waiting) = &mut self.waiting {
                if waiting.as_mut().poll(cx).is_pending() {
                    return self.handshakes.poll_next(cx);
                }
                self.waiting = None;
            }
            match self.listener.poll_accept(cx) {
                Poll::Ready(Ok(incoming)) => {
                    self.wait = BACKOFF.0;
                    self.handshakes.spawn(incoming.handshake);
                }
                Poll::Ready(Err(error)) => self.handle_error(&error),
                Poll::Pending => return self.handshakes.poll_next(cx),
            }
        }
        cx.waker().wake_by_ref();
        self.handshakes.poll_next(cx)
    }

    /// `axum::serve` has no way to end because of an unusable listener, so such an error waits,
    /// too.
    fn handle_error(&mut self, error: &io::Error) {
        let kind = self.listener.classify(error);
        if kind == AcceptErrorKind::Retry {
            return;
        }
        let wait = match kind {
            AcceptErrorKind::Fatal => BACKOFF.1,
            _ => self.wait,
        };
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "anyport", %error, ?kind, ?wait, "accept failed, waiting");
        self.wait = (self.wait * 2).min(BACKOFF.1);
        self.waiting = Some(Box::pin(sleep(wait)));
    }
}

impl<L> serve::Listener for AxumListener<L>
where
    L: ByteListener<Handshake: Send> + Send,
{
    type Io = TokioIo<L::Connection>;
    type Addr = Endpoint;

    async fn accept(&mut self) -> (Self::Io, Endpoint) {
        let connection = poll_fn(|cx| self.poll_next(cx)).await;
        let peer = connection.info().peer().clone();
        (TokioIo::new(connection), peer)
    }

    fn local_addr(&self) -> io::Result<Endpoint> {
        Ok(self.local.clone())
    }
}

impl<L> Connected<IncomingStream<'_, AxumListener<L>>> for ConnectionInfo
where
    L: ByteListener<Handshake: Send> + Send,
{
    fn connect_info(stream: IncomingStream<'_, AxumListener<L>>) -> Self {
        Self(stream.io().inner().info().clone())
    }
}

impl<L, F> Connected<IncomingStream<'_, TapIo<AxumListener<L>, F>>> for ConnectionInfo
where
    L: ByteListener<Handshake: Send> + Send,
    F: FnMut(&mut TokioIo<L::Connection>) + Send + 'static,
{
    fn connect_info(stream: IncomingStream<'_, TapIo<AxumListener<L>, F>>) -> Self {
        Self(stream.io().inner().info().clone())
    }
}

impl<L: Listener> fmt::Debug for AxumListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AxumListener")
            .field("local", &self.local)
            .field("handshakes", &self.handshakes)
            .finish_non_exhaustive()
    }
}
