//! The signal that the server of a connection drains, as a flag and as a future.
use crate::runtime::lock;
use slab::Slab;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// Whether the server of a connection drains: a flag, and a future that's ready once it does.
///
/// For what would go on for ever, so that it ends within the drain's grace instead of being cut
/// off: server-sent events, long polls, WebSockets of any library.
/// [`ConnInfo::drain`](crate::ConnInfo::drain) gives it, and with the axum adapter an extractor. It
/// works on any thread and any runtime, keeps no connection open, and costs nothing until it's
/// awaited.
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
        Self {
            begins,
            place: None,
        }
    }

    /// Whether the server drains, or has been aborted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.begins
            .as_ref()
            .is_some_and(|begins| begins.has_begun())
    }
}

/// Whether a server's drain has begun, and who waits for that. It's all that a connection's facts
/// hold of the server, so they keep nothing else of it.
#[derive(Default)]
pub(crate) struct DrainBegins {
    has_begun: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl DrainBegins {
    /// It begins, or has begun.
    pub(crate) fn begin(&self) {
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
