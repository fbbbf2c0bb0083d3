//! `Send` handles of values that stay on their thread. hyper requires upgraded streams to be
//! `Send`, and apps move them to other threads.
#[cfg(test)]
mod tests;

use super::{lock, panics};
use slab::Slab;
use std::{
    any::Any,
    cell::RefCell,
    fmt, io,
    marker::PhantomData,
    mem,
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A value that stays on the thread that made it; the handle to it is `Send`, whatever the value's
/// type.
///
/// The implementation is safe code: a handle is an index and a reference to the mailbox of its
/// thread. For a stream that is used on any thread, use
/// [`ThreadBoundStream`](crate::transport::ThreadBoundStream).
///
/// On another thread, [`with`](Self::with) returns an error of the kind
/// [`Unsupported`](io::ErrorKind::Unsupported). A handle may be dropped on another thread. Its
/// value is then dropped on its own thread, as soon as that makes another value or calls
/// [`poll_mailbox`]. When a thread ends, its values are dropped.
///
/// ```
/// use anyport_core::runtime::ThreadBound;
/// use std::{rc::Rc, thread};
///
/// let mut bound = ThreadBound::new(Rc::new(7));
/// assert_eq!(bound.with(|seven| **seven).unwrap(), 7);
/// let elsewhere = thread::spawn(move || bound.with(|seven| **seven).is_err());
/// assert!(elsewhere.join().unwrap());
/// ```
pub struct ThreadBound<T> {
    owner: Arc<Mailbox>,
    key: usize,
    of: PhantomData<fn() -> T>,
}

/// The part of a thread that other threads can access.
#[derive(Default)]
struct Mailbox {
    has_messages: AtomicBool,
    messages: Mutex<Messages>,
}

#[derive(Default)]
struct Messages {
    /// Keys of values whose handles were dropped on other threads.
    dropped: Vec<usize>,
    /// Jobs for the owning thread.
    jobs: Vec<Job>,
    waker: Option<Waker>,
    /// Whether the thread runs jobs.
    is_open: bool,
}

type Job = Box<dyn FnOnce() + Send>;

/// The values of a thread.
struct LocalValues {
    mailbox: Arc<Mailbox>,
    /// A copy of the mailbox's waker, so that `poll_mailbox` compares it without the lock.
    waker: RefCell<Option<Waker>>,
    values: RefCell<Slab<Rc<dyn Any>>>,
}

thread_local! {
    static LOCAL: LocalValues = LocalValues { mailbox: Arc::default(), waker: RefCell::default(), values: RefCell::default() };
}

impl<T: 'static> ThreadBound<T> {
    /// Binds the value to this thread.
    pub fn new(value: T) -> Self {
        LOCAL.with(|local| {
            local.check_messages();
            Self {
                owner: Arc::clone(&local.mailbox),
                key: local
                    .values
                    .borrow_mut()
                    .insert(Rc::new(RefCell::new(value))),
                of: PhantomData,
            }
        })
    }

    /// Whether the current thread owns the value.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        LOCAL
            .try_with(|local| Arc::ptr_eq(&local.mailbox, &self.owner))
            .unwrap_or(false)
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// The current thread does not own the value, or the value is in use.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> io::Result<R> {
        let Some(value) = self.get() else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this value is bound to another thread",
            ));
        };
        let mut value = value
            .try_borrow_mut()
            .map_err(|_| io::Error::other("this value is in use already"))?;
        Ok(f(&mut value))
    }

    /// The value, if the current thread owns it. It is reference-counted, because it may be dropped
    /// during use.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<Rc<RefCell<T>>> {
        let value = LOCAL.try_with(|local| match Arc::ptr_eq(&local.mailbox, &self.owner) {
            true => local.values.borrow().get(self.key).cloned(),
            false => None,
        });
        value.ok().flatten()?.downcast().ok()
    }

    /// Runs `f` with the value on the owning thread, in the next tick of its runtime. If that
    /// runtime has ended, `f` is dropped.
    pub(crate) fn send_to_owner(self, f: impl FnOnce(T) + Send + 'static) {
        let owner = Arc::clone(&self.owner);
        owner.send_job(Box::new(move || {
            if let Some(value) = self.into_inner() {
                f(value);
            }
        }));
    }

    /// The value, if the current thread owns it and it is not in use.
    fn into_inner(self) -> Option<T> {
        let value = LOCAL.try_with(|local| {
            Arc::ptr_eq(&local.mailbox, &self.owner)
                .then(|| local.values.borrow_mut().try_remove(self.key))
                .flatten()
        });
        // From now on its key may belong to another value.
        drop(self);
        let value = value.ok().flatten()?.downcast::<RefCell<T>>().ok()?;
        Rc::into_inner(value).map(RefCell::into_inner)
    }
}

impl<T> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        let value = LOCAL.try_with(|local| match Arc::ptr_eq(&local.mailbox, &self.owner) {
            true => local.values.borrow_mut().try_remove(self.key),
            false => {
                self.owner.send_dropped(self.key);
                None
            }
        });
        // Dropped after the borrow ends: the value may contain another `ThreadBound`.
        drop(value);
    }
}

impl Mailbox {
    fn send_dropped(&self, key: usize) {
        let mut messages = lock(&self.messages);
        messages.dropped.push(key);
        self.notify(&messages);
    }

    fn send_job(&self, job: Job) {
        let mut messages = lock(&self.messages);
        if !messages.is_open {
            drop(messages);
            // The job may contain another `ThreadBound`, so it is dropped outside of the lock.
            drop(job);
            return;
        }
        messages.jobs.push(job);
        self.notify(&messages);
    }

    /// Wakes under the lock: no copy of the waker may exist after the runtime has released it
    /// ([`LocalTasks`](crate::runtime::local::LocalTasks)).
    fn notify(&self, messages: &MutexGuard<'_, Messages>) {
        let is_first = !self.has_messages.swap(true, Ordering::Relaxed);
        if let Some(waker) = messages.waker.as_ref().filter(|_| is_first) {
            waker.wake_by_ref();
        }
    }

    /// Refuses and drops all jobs from now on.
    fn close(&self) {
        let mut messages = lock(&self.messages);
        messages.is_open = false;
        let jobs = mem::take(&mut messages.jobs);
        drop(messages);
        drop(jobs);
    }
}

impl LocalValues {
    #[cold]
    fn register(&self, waker: &Waker) {
        let old = lock(&self.mailbox.messages).waker.replace(waker.clone());
        let known = self.waker.replace(Some(waker.clone()));
        // The drop of a waker may run any code.
        let _ = panics::catch(|| drop((old, known)));
    }

    #[inline]
    fn check_messages(&self) {
        if self.mailbox.has_messages.load(Ordering::Relaxed) {
            self.process_messages();
        }
    }

    #[cold]
    fn process_messages(&self) {
        self.mailbox.has_messages.store(false, Ordering::Relaxed);
        let mut messages = lock(&self.mailbox.messages);
        let (dropped, jobs) = (
            mem::take(&mut messages.dropped),
            mem::take(&mut messages.jobs),
        );
        drop(messages);
        for key in dropped {
            let value = self.values.borrow_mut().try_remove(key);
            // The drop may run code of the app and panic, which must not affect the other values.
            let _ = panics::catch(|| drop(value));
        }
        for job in jobs {
            let _ = panics::catch(job);
        }
    }
}

/// Drops the values of this thread whose handles were dropped on other threads, and starts the
/// relays of streams that are used on other threads.
///
/// Never ready: the task is woken when there is more to do. A runtime polls it on each of its
/// workers.
pub fn poll_mailbox(cx: &mut Context<'_>) -> Poll<()> {
    let _ = LOCAL.try_with(|local| {
        let is_known = local
            .waker
            .borrow()
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()));
        if !is_known {
            local.register(cx.waker());
        }
        local.check_messages();
    });
    Poll::Pending
}

/// From now on, this thread runs the jobs of other threads, until [`drop_all`]. The caller must
/// have [`poll_mailbox`] polled.
pub(crate) fn open_mailbox() {
    let _ = LOCAL.try_with(|local| lock(&local.mailbox.messages).is_open = true);
}

/// Drops all values of this thread: for a runtime that ends before its thread does. Their handles
/// return errors from then on.
pub fn drop_all() {
    let _ = LOCAL.try_with(|local| local.mailbox.close());
    let values = LOCAL.try_with(|local| {
        let gone: Rc<dyn Any> = Rc::new(());
        let mut values = local.values.borrow_mut();
        // Their keys stay in use until their handles are dropped, so that a handle never accesses
        // another value.
        let values = values.iter_mut();
        values
            .map(|(_, value)| mem::replace(value, Rc::clone(&gone)))
            .collect::<Vec<_>>()
    });
    drop(values);
}

impl Drop for LocalValues {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl<T> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadBound")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
