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

/// What other threads can reach of a worker.
#[derive(Default)]
pub(super) struct Mailbox {
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Mail {
    woken: Vec<Arc<Ticket>>,
    /// Of the runtime's task that runs the worker's.
    main: Option<Waker>,
    /// The worker has ended: nobody is woken any more.
    is_closed: bool,
}

/// What wakes a task.
pub(super) struct Ticket {
    pub(super) key: usize,
    pub(super) is_queued: AtomicBool,
    mailbox: Arc<Mailbox>,
}

impl Ticket {
    /// Of a task that's about to be queued.
    pub(super) fn new(key: usize, mailbox: &Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self {
            key,
            is_queued: AtomicBool::new(true),
            mailbox: Arc::clone(mailbox),
        })
    }
}

impl Wake for Ticket {
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

impl Mail {
    /// Under the lock, so that nobody holds a waker that the worker has let go of: what's woken, or
    /// dropped, when its runtime has ended may be put into a queue that nobody empties.
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

    /// Has the worker look at its timers again.
    pub(super) fn look(&self) {
        if self.with_local(Local::wake).is_none() {
            lock(&self.mail).wake();
        }
    }

    /// Whom other threads have woken, if any.
    pub(super) fn take(&self) -> Option<Vec<Arc<Ticket>>> {
        let has_mail = self.has_mail.swap(false, Ordering::Acquire);
        has_mail.then(|| mem::take(&mut lock(&self.mail).woken))
    }

    /// Says what to wake when there's mail.
    pub(super) fn set_main(&self, main: &Waker) {
        let old = lock(&self.mail).main.replace(main.clone());
        // Dropping a waker may run anything, so it's not done under the lock.
        drop(old);
    }

    /// Nothing is to be woken until something is said anew.
    pub(super) fn forget(&self) {
        let old = lock(&self.mail).main.take();
        drop(old);
    }

    /// The worker has ended.
    pub(super) fn close(&self) {
        let closed = Mail {
            is_closed: true,
            ..Mail::default()
        };
        // What was in it may hold the mailbox itself.
        let mail = mem::replace(&mut *lock(&self.mail), closed);
        drop(mail);
    }

    fn schedule(&self, ticket: Arc<Ticket>) {
        let mut ticket = Some(ticket);
        self.with_local(|local| ticket.take().map(|ticket| local.enqueue(ticket)));
        let Some(ticket) = ticket else { return };
        let mut mail = lock(&self.mail);
        if mail.is_closed {
            return;
        }
        mail.woken.push(ticket);
        self.has_mail.store(true, Ordering::Release);
        if mail.woken.len() == 1 {
            mail.wake();
        }
    }

    /// Asks the worker something, if this is its thread.
    fn with_local<T>(&self, f: impl FnOnce(&Local) -> T) -> Option<T> {
        current(|local| std::ptr::eq(&raw const *local.mailbox, self).then(|| f(local))).flatten()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
