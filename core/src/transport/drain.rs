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

/// Whether the server of a connection is draining: a flag, and a future that is ready when the
/// drain begins.
///
/// It is for handlers that would never end: server-sent events, long polls, WebSockets of any
/// library. They can end within the drain's grace instead of being aborted.
/// [`ConnInfo::drain`](crate::ConnInfo::drain) returns it, and the axum adapter has an extractor.
/// It works on any thread and any runtime, does not keep the connection open, and costs nothing
/// until it is awaited.
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
    /// `None`: no server has accepted the connection, so it never drains.
    begins: Option<Arc<DrainBegins>>,
    key: Option<usize>,
}

impl Drain {
    pub(crate) fn new(begins: Option<Arc<DrainBegins>>) -> Self {
        Self { begins, key: None }
    }

    /// Whether the server is draining or has been aborted.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.begins
            .as_ref()
            .is_some_and(|begins| begins.has_begun())
    }
}

/// Whether a server's drain has begun, and the tasks that wait for it. A connection's facts keep
/// only this part of the server alive.
#[derive(Default)]
pub(crate) struct DrainBegins {
    has_begun: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl DrainBegins {
    /// Begins the drain; idempotent.
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::SeqCst);
        let waiting = mem::take(&mut *lock(&self.waiting));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::SeqCst)
    }

    /// `key` is the caller's key among the waiting wakers.
    fn poll(&self, key: &mut Option<usize>, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_begun() {
            return Poll::Ready(());
        }
        let mut waiting = lock(&self.waiting);
        // Checked again under the lock: a waker added after `begin` would never be woken.
        if self.has_begun() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let old = match key.and_then(|key| waiting.get_mut(key)) {
            Some(known) => Some(mem::replace(known, waker)),
            None => {
                *key = Some(waiting.insert(waker));
                None
            }
        };
        drop(waiting);
        // The drop of a waker may run any code, so it happens outside of the lock.
        drop(old);
        Poll::Pending
    }

    fn remove(&self, key: usize) {
        let waker = lock(&self.waiting).try_remove(key);
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
            Some(begins) => begins.poll(&mut me.key, cx),
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
        if let (Some(begins), Some(key)) = (&self.begins, self.key) {
            begins.remove(key);
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
