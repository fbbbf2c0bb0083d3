//! The part of a worker that other threads can reach: they wake its tasks and set its timers.
use super::{Local, clock::Timers, current};
use crate::runtime::lock;
use std::{
    fmt, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

/// The part of a worker that other threads can access.
#[derive(Default)]
pub(super) struct Mailbox {
    has_messages: AtomicBool,
    messages: Mutex<Messages>,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Messages {
    woken: Vec<Arc<TaskWaker>>,
    /// The waker of the runtime's task that runs the worker's tasks.
    main: Option<Waker>,
    /// The worker has ended, so nothing is woken.
    is_closed: bool,
}

/// Wakes a task.
pub(super) struct TaskWaker {
    pub(super) key: usize,
    pub(super) is_queued: AtomicBool,
    mailbox: Arc<Mailbox>,
}

impl TaskWaker {
    /// Makes the waker of a task that is about to be queued.
    pub(super) fn new(key: usize, mailbox: &Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self {
            key,
            is_queued: AtomicBool::new(true),
            mailbox: Arc::clone(mailbox),
        })
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let mailbox = Arc::clone(&self.mailbox);
            mailbox.schedule(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.mailbox.schedule(Arc::clone(self));
        }
    }
}

impl Messages {
    /// Wakes under the lock: no copy of the waker may exist after the worker has released it. A
    /// task that is woken or dropped after its runtime's end may be put into a queue that is never
    /// emptied.
    fn wake(&self) {
        if let Some(main) = &self.main {
            main.wake_by_ref();
        }
    }
}

impl Mailbox {
    pub(super) fn with_timers<T>(&self, f: impl FnOnce(&mut Timers) -> T) -> T {
        f(&mut lock(&self.timers))
    }

    /// Makes the worker check its timers.
    pub(super) fn check_timers(&self) {
        if self.with_local(Local::wake).is_none() {
            lock(&self.messages).wake();
        }
    }

    /// The tasks that other threads have woken.
    pub(super) fn take(&self) -> Option<Vec<Arc<TaskWaker>>> {
        let has_messages = self.has_messages.swap(false, Ordering::Acquire);
        has_messages.then(|| mem::take(&mut lock(&self.messages).woken))
    }

    /// Sets the waker for messages of other threads.
    pub(super) fn set_main(&self, main: &Waker) {
        let old = lock(&self.messages).main.replace(main.clone());
        // The drop of a waker may run any code, so it happens outside of the lock.
        drop(old);
    }

    /// Removes that waker.
    pub(super) fn clear_main(&self) {
        let old = lock(&self.messages).main.take();
        drop(old);
    }

    /// Closes the mailbox at the end of the worker.
    pub(super) fn close(&self) {
        let closed = Messages {
            is_closed: true,
            ..Messages::default()
        };
        // The messages may hold the mailbox itself.
        let messages = mem::replace(&mut *lock(&self.messages), closed);
        drop(messages);
    }

    fn schedule(&self, task: Arc<TaskWaker>) {
        let mut task = Some(task);
        self.with_local(|local| task.take().map(|task| local.enqueue(task)));
        let Some(task) = task else { return };
        let mut messages = lock(&self.messages);
        if messages.is_closed {
            return;
        }
        messages.woken.push(task);
        self.has_messages.store(true, Ordering::Release);
        if messages.woken.len() == 1 {
            messages.wake();
        }
    }

    /// Calls `f` with the worker, if this is its thread.
    fn with_local<T>(&self, f: impl FnOnce(&Local) -> T) -> Option<T> {
        current(|local| std::ptr::eq(&raw const *local.mailbox, self).then(|| f(local))).flatten()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
