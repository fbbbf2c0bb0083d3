//! Who wants to know that the server drains, and what's left of it then.
use crate::engine::lock;
use slab::Slab;
use std::{
    fmt,
    future::Future,
    mem,
    ops::AddAssign,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Whether the server of a connection drains: a flag, and a future that's ready once it does.
///
/// For what would go on for ever, so that it ends within the drain's grace instead of being cut off: server-sent events, long polls, WebSockets of any library.
/// [`ConnInfo::drain`](crate::ConnInfo::drain) gives it, and with the axum adapter an extractor. It works on any thread and any runtime, keeps no connection open, and costs nothing until it's awaited.
///
/// ```
/// # use anyport_core::{Body, ConnInfo};
/// # use http::{Request, Response};
/// # async fn next_event() -> &'static str { "" }
/// async fn long_poll(request: Request<Body>) -> Response<Body> {
///     // Needs `HttpOptions::with_conn_info`.
///     let Some(info) = request.extensions().get::<ConnInfo>() else {
///         return Response::new(Body::empty());
///     };
///     let text = tokio::select! {
///         event = next_event() => event,
///         () = info.drain() => "ask again",
///     };
///     Response::new(Body::from(text))
/// }
/// ```
pub struct Drain {
    /// None: no server has accepted the connection, so none drains.
    begins: Option<Arc<DrainBegins>>,
    place: Option<usize>,
}

impl Drain {
    pub(crate) fn new(begins: Option<Arc<DrainBegins>>) -> Self {
        Self { begins, place: None }
    }

    /// Whether the server drains, or has been aborted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.begins.as_ref().is_some_and(|begins| begins.has_begun())
    }
}

/// Whether a server's drain has begun, and who waits for that. It's all that a connection's facts hold of the server, so they keep nothing else of it.
#[derive(Default)]
pub(crate) struct DrainBegins {
    has_begun: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl DrainBegins {
    /// It begins, or has begun.
    pub(super) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        let waiting = mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }

    /// `place` is the caller's among those that wait.
    fn poll(&self, place: &mut Option<usize>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_begun() {
            return Poll::Ready(());
        }
        let mut waiting = lock(&self.waiting);
        // Under the lock, so that nobody is added whom nobody wakes.
        if self.has_begun() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let old = match place.and_then(|place| waiting.get_mut(place)) {
            Some(known) => Some(mem::replace(known, waker)),
            None => {
                *place = Some(waiting.insert(waker));
                None
            }
        };
        drop(waiting);
        // Dropping one may run anything, so it's not done under the lock.
        drop(old);
        Poll::Pending
    }

    fn leave(&self, place: usize) {
        let waker = lock(&self.waiting).try_remove(place);
        drop(waker);
    }
}

impl fmt::Debug for DrainBegins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainBegins")
            .field("has_begun", &self.has_begun())
            .finish_non_exhaustive()
    }
}

impl Future for Drain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        match &me.begins {
            Some(begins) => begins.poll(&mut me.place, cx),
            None => Poll::Pending,
        }
    }
}

impl Clone for Drain {
    fn clone(&self) -> Self {
        Self::new(self.begins.clone())
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let (Some(begins), Some(place)) = (&self.begins, self.place) {
            begins.leave(place);
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain")
            .field("is_draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// How many connections a server has open, by what they do; of [`Handle::open`](crate::Handle::open).
///
/// ```text
/// 5 connections (2 upgraded, 1 closing)
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenConnections {
    /// They have become something else than HTTP, such as WebSockets.
    pub upgraded: usize,
    /// They've been told all there was for them, and wait for their peer's end.
    pub closing: usize,
    /// All others: in a handshake, idle, answering, or served by a raw handler. In a drain, the idle ones are gone before long.
    pub others: usize,
}

impl OpenConnections {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> usize {
        self.upgraded + self.closing + self.others
    }
}

impl AddAssign for OpenConnections {
    fn add_assign(&mut self, other: Self) {
        self.upgraded += other.upgraded;
        self.closing += other.closing;
        self.others += other.others;
    }
}

impl fmt::Display for OpenConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} connection{}", if total == 1 { "" } else { "s" })?;
        match (self.upgraded, self.closing) {
            (0, 0) => Ok(()),
            (upgraded, 0) => write!(f, " ({upgraded} upgraded)"),
            (0, closing) => write!(f, " ({closing} closing)"),
            (upgraded, closing) => write!(f, " ({upgraded} upgraded, {closing} closing)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OpenConnections;

    #[test]
    fn open_connections_are_told_by_kind() {
        let open = |upgraded, closing, others| {
            let open = OpenConnections {
                upgraded,
                closing,
                others,
            };
            open.to_string()
        };
        assert_eq!(open(0, 0, 1), "1 connection");
        assert_eq!(open(2, 0, 0), "2 connections (2 upgraded)");
        assert_eq!(open(2, 1, 2), "5 connections (2 upgraded, 1 closing)");
        assert_eq!(open(0, 1, 0), "1 connection (1 closing)");
    }
}
