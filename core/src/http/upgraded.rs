//! The bytes of an upgraded connection or HTTP/2 stream, with the facts about the connection.
use super::{
    tunnel::{Tunnel, TunnelFacts},
    upgrade_answer::UpgradeAnswer,
};
use crate::{
    engine::{Accepted, ConnState, Stage},
    runtime::{Registered, lock},
    transport::{ConnInfo, Connection, Drain},
};
use http::Request;
use hyper::{
    rt::{Read, ReadBufCursor, Write},
    upgrade::OnUpgrade,
};
use std::{
    any::TypeId,
    fmt,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// An upgraded connection, or an HTTP/2 stream that has become a tunnel: bytes in both directions
/// (RFC 9110 7.8, 9.3.6; RFC 8441).
///
/// It replaces hyper's own upgrade, and adds the facts about the client, the drain, and readiness
/// for reading. So its user needs no buffer and no timer while it waits. It implements hyper's
/// [`Read`] and [`Write`]; for tokio's traits, wrap it in `hyper_util::rt::TokioIo`. It works on
/// any thread.
///
/// ```
/// # use anyport_core::{Body, protocol::Upgraded, runtime::spawn};
/// # use http::{Request, Response, StatusCode, header};
/// # async fn chat(_: Upgraded) {}
/// async fn app(mut request: Request<Body>) -> anyport_core::Result<Response<Body>> {
///     let upgraded = Upgraded::on(&mut request);
///     spawn(async {
///         if let Ok(upgraded) = upgraded.await {
///             println!("{} has switched protocols", upgraded.info().peer());
///             chat(upgraded).await;
///         }
///     })?;
///     let mut response = Response::new(Body::empty());
///     *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
///     response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static("chat"));
///     Ok(response)
/// }
/// ```
pub struct Upgraded {
    kind: Kind,
    /// The deadline of a whole connection. A stream has a timer of its own.
    deadline: Option<Instant>,
}

enum Kind {
    Connection(Box<dyn Whole>),
    Stream(Box<Tunnel>),
}

/// A whole connection.
trait Whole: Connection {
    fn state(&self) -> &ConnState;
}

impl<C: Connection> Whole for Accepted<C> {
    fn state(&self) -> &ConnState {
        Self::state(self)
    }
}

/// Takes a connection of one type out of hyper's upgrade, with the bytes that hyper has read.
type Downcast = fn(hyper::upgrade::Upgraded) -> Result<Box<dyn Whole>, hyper::upgrade::Upgraded>;

/// The downcast functions, one for each type of connection that this process serves.
static DOWNCASTS: Mutex<Vec<(TypeId, Downcast)>> = Mutex::new(Vec::new());

/// Registers a type of connection.
pub(crate) fn register<C: Connection>() {
    let mut downcasts = lock(&DOWNCASTS);
    let id = TypeId::of::<C>();
    if !downcasts.iter().any(|(known, _)| *known == id) {
        downcasts.push((id, |upgraded| {
            let parts = upgraded.downcast::<Accepted<C>>()?;
            let mut io = parts.io;
            io.unread(parts.read_buf);
            Ok(Box::new(io))
        }));
    }
}

/// Hyper's upgrade, or an error if the app refused it.
fn poll_upgrade(
    upgrade: &mut OnUpgrade,
    answer: Option<&UpgradeAnswer>,
    registered: &mut Registered,
    cx: &mut Context<'_>,
) -> Poll<io::Result<hyper::upgrade::Upgraded>> {
    if let Poll::Ready(upgraded) = Pin::new(upgrade).poll(cx) {
        return Poll::Ready(upgraded.map_err(io::Error::other));
    }
    match answer {
        Some(answer) => answer.poll_refused(registered, cx).map(|()| {
            Err(io::Error::other(
                "the response did not agree to the upgrade",
            ))
        }),
        None => Poll::Pending,
    }
}

impl Upgraded {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            deadline: None,
        }
    }

    /// The connection, or HTTP/2 stream, of a request that upgrades. The future is ready only after
    /// the server has sent the response that accepts the upgrade, so do not await it before you
    /// respond.
    ///
    /// # Errors
    ///
    /// The request offers no upgrade, the response refuses the upgrade, or the connection ends
    /// before the upgrade. After a refusal, the future fails at once.
    pub fn on<B>(
        request: &mut Request<B>,
    ) -> impl Future<Output = io::Result<Self>> + Send + 'static {
        let facts = request.extensions_mut().remove::<TunnelFacts>();
        let answer = request.extensions_mut().remove::<UpgradeAnswer>();
        let mut upgrade = hyper::upgrade::on(request);
        async move {
            let mut registered = Registered::default();
            let upgraded =
                poll_fn(|cx| poll_upgrade(&mut upgrade, answer.as_ref(), &mut registered, cx))
                    .await?;
            match (Self::try_from(upgraded), facts) {
                (Ok(upgraded), _) => Ok(upgraded),
                (Err(io), Some(facts)) => {
                    Ok(Self::new(Kind::Stream(Box::new(Tunnel::new(io, facts)))))
                }
                (Err(_), None) => Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "this request was not served by anyport",
                )),
            }
        }
    }

    /// The facts about the connection.
    #[must_use]
    pub fn info(&self) -> &ConnInfo {
        match &self.kind {
            Kind::Connection(connection) => connection.info(),
            Kind::Stream(stream) => &stream.info,
        }
    }

    /// Whether the server drains, as a flag and as a future.
    #[must_use]
    pub fn drain(&self) -> Drain {
        self.info().drain()
    }

    /// Ready once the server drains. Otherwise, the tasks that wait to read or to write are woken
    /// when the drain begins. So poll this each time after a read or a write was pending.
    ///
    /// For a whole connection, this needs no memory of its own, unlike [`drain`](Self::drain).
    #[inline]
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            Kind::Connection(connection) => match connection.state().stage() {
                Stage::Serving => Poll::Pending,
                _ => Poll::Ready(()),
            },
            Kind::Stream(stream) => stream.poll_drain(cx),
        }
    }

    /// The time on the worker's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.kind {
            Kind::Connection(connection) => connection.state().now(),
            Kind::Stream(stream) => stream.now(),
        }
    }

    /// Sets the deadline to `after` from now, on the worker's clock; `None` removes it. There is
    /// one deadline at a time. The worker holds it, so a whole connection needs no timer.
    pub fn set_deadline(&mut self, after: Option<Duration>) {
        match &mut self.kind {
            Kind::Connection(connection) => {
                let state = connection.state();
                self.deadline = after.and_then(|after| state.now().checked_add(after));
                state.wake_at(self.deadline);
                // The next poll reads the clock, in case the deadline passes before that.
                if self.deadline.is_some() {
                    state.flags.set_due();
                }
            }
            Kind::Stream(stream) => stream.set_deadline(after),
        }
    }

    /// Ready once, after the deadline has passed. That call also removes the deadline. Otherwise,
    /// the tasks that wait to read or to write are woken when it passes. So poll this each time
    /// after a read or a write was pending. It seldom reads the clock.
    pub fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let connection = match &mut self.kind {
            Kind::Connection(connection) => connection,
            Kind::Stream(stream) => return stream.poll_deadline(cx),
        };
        let state = connection.state();
        let Some(at) = self.deadline.filter(|_| state.flags.take_due_upgraded()) else {
            return Poll::Pending;
        };
        let now = state.now();
        let at = state.worker.catch_up(at, now);
        if at <= now {
            self.deadline = None;
            return Poll::Ready(());
        }
        state.wake_at(Some(at));
        Poll::Pending
    }

    /// Ready when a read would make progress: there are bytes, the end, or an error. Uses the waker
    /// of reading, and may be spuriously ready.
    ///
    /// While this method is pending, the caller needs no buffer. A
    /// [`ThreadBoundStream`](crate::transport::ThreadBoundStream) that is polled on another thread
    /// still has those of its pipes.
    ///
    /// # Errors
    ///
    /// The errors are those of a read.
    #[inline]
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Connection(connection) => Pin::new(&mut **connection).poll_readable(cx),
            Kind::Stream(stream) => stream.poll_readable(cx),
        }
    }
}

/// Converts hyper's upgrade, if it is a whole HTTP/1 connection of an anyport server. Anything
/// else, such as an HTTP/2 stream, is returned as the error.
impl TryFrom<hyper::upgrade::Upgraded> for Upgraded {
    type Error = hyper::upgrade::Upgraded;

    fn try_from(mut upgraded: hyper::upgrade::Upgraded) -> Result<Self, Self::Error> {
        // The functions are called without the lock.
        let downcasts = lock(&DOWNCASTS).clone();
        for (_, downcast) in downcasts {
            match downcast(upgraded) {
                Ok(connection) => return Ok(Self::new(Kind::Connection(connection))),
                Err(other) => upgraded = other,
            }
        }
        Err(upgraded)
    }
}

impl Read for Upgraded {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Connection(connection) => Pin::new(&mut **connection).poll_read(cx, buf),
            Kind::Stream(stream) => stream.poll_read(cx, buf),
        }
    }
}

impl Upgraded {
    #[inline]
    fn writer(&mut self) -> Pin<&mut (dyn Write + Unpin)> {
        Pin::new(match &mut self.kind {
            Kind::Connection(connection) => connection,
            Kind::Stream(stream) => &mut stream.io,
        })
    }
}

impl Write for Upgraded {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write(cx, buf)
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer().poll_shutdown(cx)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Connection(connection) => connection.is_write_vectored(),
            Kind::Stream(stream) => stream.io.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer().poll_write_vectored(cx, bufs)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upgraded").field(self.info()).finish()
    }
}
