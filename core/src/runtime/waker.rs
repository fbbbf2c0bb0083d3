//! A slot for the waker of a task, which costs no lock and no atomic write while the waker stays
//! the same.
use super::lock;
use std::{
    sync::Mutex,
    task::{Context, Waker},
};

/// A task's waker, for other tasks to wake it.
#[derive(Debug, Default)]
pub(crate) struct WakerSlot(Mutex<Option<Waker>>);

impl WakerSlot {
    /// Removes the waker when the task has ended. Otherwise the waker would keep the task's memory.
    pub(crate) fn clear(&self) {
        let old = lock(&self.0).take();
        // Dropping a waker may run any code, so it happens outside of the lock.
        drop(old);
    }

    pub(crate) fn wake(&self) {
        // A waker may run any code, so it is called outside of the lock.
        let waker = lock(&self.0).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The task's own copy of the waker in its slot: while it is current, a poll writes nothing.
#[derive(Debug, Default)]
pub(crate) struct Registered(Option<Waker>);

impl Registered {
    /// Makes sure that `slot` wakes the task that is being polled. `true`: it did not before, so
    /// the caller must check again for changes in between.
    #[must_use]
    #[inline]
    pub(crate) fn refresh(&mut self, cx: &Context<'_>, slot: &WakerSlot) -> bool {
        let is_right = self.0.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
        !is_right && self.register(cx, slot)
    }

    #[cold]
    fn register(&mut self, cx: &Context<'_>, slot: &WakerSlot) -> bool {
        self.0 = Some(cx.waker().clone());
        let old = lock(&slot.0).replace(cx.waker().clone());
        // Dropping a waker may run any code as well.
        drop(old);
        true
    }
}
