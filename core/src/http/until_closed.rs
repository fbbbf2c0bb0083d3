//! Futures that end with their connection.
use crate::runtime::lock;
use slab::Slab;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// The futures of one connection, which end when this is dropped. A new future does not wake the
/// others.
#[derive(Default)]
pub(super) struct Siblings(Arc<Mutex<Wakers>>);

#[derive(Default)]
struct Wakers {
    waiting: Slab<Waker>,
    is_closed: bool,
}

impl Siblings {
    pub(super) fn join<F>(&self, future: F) -> UntilClosed<F> {
        let member = Member {
            key: lock(&self.0).waiting.insert(Waker::noop().clone()),
            wakers: Arc::clone(&self.0),
        };
        UntilClosed {
            future: Some(future),
            member,
        }
    }
}

impl Drop for Siblings {
    fn drop(&mut self) {
        let mut wakers = lock(&self.0);
        wakers.is_closed = true;
        let waiting: Vec<_> = wakers
            .waiting
            .iter()
            .map(|(_, waker)| waker.clone())
            .collect();
        drop(wakers);
        waiting.into_iter().for_each(Waker::wake);
    }
}

struct Member {
    wakers: Arc<Mutex<Wakers>>,
    key: usize,
}

impl Member {
    /// Whether the connection is closed. If not, the task is woken when it is.
    fn is_closed(&self, cx: &Context<'_>) -> bool {
        let mut wakers = lock(&self.wakers);
        if let Some(waker) = wakers.waiting.get_mut(self.key) {
            waker.clone_from(cx.waker());
        }
        wakers.is_closed
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let waker = lock(&self.wakers).waiting.try_remove(self.key);
        // Dropping a waker may run any code.
        drop(waker);
    }
}

pin_project_lite::pin_project! {
    /// A future that is dropped together with its connection.
    pub struct UntilClosed<F> {
        #[pin]
        future: Option<F>,
        member: Member,
    }
}

impl<F: Future<Output = ()>> Future for UntilClosed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut me = self.project();
        let polled = match me.future.as_mut().as_pin_mut() {
            Some(_) if me.member.is_closed(cx) => Poll::Ready(()),
            Some(future) => future.poll(cx),
            None => Poll::Ready(()),
        };
        if polled.is_ready() {
            me.future.set(None);
        }
        polled
    }
}

impl<F> fmt::Debug for UntilClosed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilClosed").finish_non_exhaustive()
    }
}
