//! Tasks that wait for a client. They are polled when the drain begins, because the drain limits
//! the wait.
use crate::runtime::lock;
use slab::Slab;
use std::{
    sync::Mutex,
    task::{Context, Waker},
};

/// The waiting tasks of a worker.
#[derive(Debug, Default)]
pub(crate) struct DrainWaiters(Mutex<Slab<Waker>>);

impl DrainWaiters {
    pub(super) fn wake_all(&self) {
        let waiting: Vec<Waker> = lock(&self.0)
            .iter()
            .map(|(_, waker)| waker.clone())
            .collect();
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// A task's registration among them.
#[derive(Debug, Default)]
pub(crate) struct AtDrain(Option<(usize, Waker)>);

impl AtDrain {
    /// Registers the task that is being polled.
    pub(crate) fn register(&mut self, waiters: &DrainWaiters, cx: &Context<'_>) {
        if self
            .0
            .as_ref()
            .is_some_and(|(_, waker)| waker.will_wake(cx.waker()))
        {
            return;
        }
        self.leave(waiters);
        let key = lock(&waiters.0).insert(cx.waker().clone());
        self.0 = Some((key, cx.waker().clone()));
    }

    pub(crate) fn leave(&mut self, waiters: &DrainWaiters) {
        if let Some((key, _)) = self.0.take() {
            // Dropping a waker may run any code, so the lock is free.
            let waker = lock(&waiters.0).try_remove(key);
            drop(waker);
        }
    }
}
