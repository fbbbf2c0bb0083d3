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

/// A value that stays on the thread that made it, whatever its type; what moves is a handle.
///
/// It's safe code throughout: the handle is a number and a reference to the mailbox of its thread.
/// A stream that's to be used on any thread, is a
/// [`ThreadBoundStream`](crate::transport::ThreadBoundStream).
///
/// Used on another thread, it gives an error of the kind
/// [`Unsupported`](io::ErrorKind::Unsupported). Dropped on another thread, the value is dropped at
/// home, as soon as that thread makes another one or asks [`poll_mail`]. When a thread ends, so do
/// the values it kept.
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
    home: Arc<Mailbox>,
    key: usize,
    of: PhantomData<fn() -> T>,
}

/// What other threads can reach of a thread.
#[derive(Default)]
struct Mailbox {
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
}

#[derive(Default)]
struct Mail {
    /// Whose handles were dropped elsewhere.
    returned: Vec<usize>,
    /// What else is to be done at home.
    jobs: Vec<Job>,
    waker: Option<Waker>,
    /// Somebody does jobs.
    is_open: bool,
}

type Job = Box<dyn FnOnce() + Send>;

/// What a thread keeps.
struct Home {
    mailbox: Arc<Mailbox>,
    /// The one that the mailbox has, so that it needn't be asked each time.
    waker: RefCell<Option<Waker>>,
    values: RefCell<Slab<Rc<dyn Any>>>,
}

thread_local! {
    static HOME: Home = Home { mailbox: Arc::default(), waker: RefCell::default(), values: RefCell::default() };
}

impl<T: 'static> ThreadBound<T> {
    /// Keeps the value on this thread.
    pub fn new(value: T) -> Self {
        HOME.with(|home| {
            home.open_mail();
            Self {
                home: Arc::clone(&home.mailbox),
                key: home
                    .values
                    .borrow_mut()
                    .insert(Rc::new(RefCell::new(value))),
                of: PhantomData,
            }
        })
    }

    /// Whether this is the value's thread.
    #[must_use]
    pub fn is_home(&self) -> bool {
        HOME.try_with(|home| Arc::ptr_eq(&home.mailbox, &self.home))
            .unwrap_or(false)
    }

    /// Uses the value.
    ///
    /// # Errors
    ///
    /// This isn't its thread, or it's in use already.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> io::Result<R> {
        let Some(value) = self.get() else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this value belongs to another thread",
            ));
        };
        let mut value = value.try_borrow_mut().map_err(|_| {
            io::Error::other("a value that's bound to its thread is in use already")
        })?;
        Ok(f(&mut value))
    }

    /// The value, if this is its thread; counted, so that it may be dropped while it's used.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<Rc<RefCell<T>>> {
        let value = HOME.try_with(|home| match Arc::ptr_eq(&home.mailbox, &self.home) {
            true => home.values.borrow().get(self.key).cloned(),
            false => None,
        });
        value.ok().flatten()?.downcast().ok()
    }

    /// Has `f` get the value at home, from wherever this is; in the next turn of that thread's
    /// runtime, if there's one still. Otherwise `f` is dropped.
    pub(crate) fn send_home(self, f: impl FnOnce(T) + Send + 'static) {
        let home = Arc::clone(&self.home);
        home.post_job(Box::new(move || {
            if let Some(value) = self.into_inner() {
                f(value);
            }
        }));
    }

    /// The value, if this is its thread and nobody uses it.
    fn into_inner(self) -> Option<T> {
        let value = HOME.try_with(|home| {
            Arc::ptr_eq(&home.mailbox, &self.home)
                .then(|| home.values.borrow_mut().try_remove(self.key))
                .flatten()
        });
        // Its place may be another's from now on.
        drop(self);
        let value = value.ok().flatten()?.downcast::<RefCell<T>>().ok()?;
        Rc::into_inner(value).map(RefCell::into_inner)
    }
}

impl<T> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        let value = HOME.try_with(|home| match Arc::ptr_eq(&home.mailbox, &self.home) {
            true => home.values.borrow_mut().try_remove(self.key),
            false => {
                self.home.post_returned(self.key);
                None
            }
        });
        // Dropped when nothing is borrowed any more: it may hold others.
        drop(value);
    }
}

impl Mailbox {
    fn post_returned(&self, key: usize) {
        let mut mail = lock(&self.mail);
        mail.returned.push(key);
        self.tell(&mail);
    }

    fn post_job(&self, job: Job) {
        let mut mail = lock(&self.mail);
        if !mail.is_open {
            drop(mail);
            // It may hold another of these, so it's not dropped under the lock.
            drop(job);
            return;
        }
        mail.jobs.push(job);
        self.tell(&mail);
    }

    /// Under the lock, so that nobody holds a waker that the runtime has let go of
    /// ([`Tasks`](crate::runtime::local::Tasks)).
    fn tell(&self, mail: &MutexGuard<'_, Mail>) {
        let is_first = !self.has_mail.swap(true, Ordering::Relaxed);
        if let Some(waker) = mail.waker.as_ref().filter(|_| is_first) {
            waker.wake_by_ref();
        }
    }

    /// Nobody does jobs from now on.
    fn close(&self) {
        let mut mail = lock(&self.mail);
        mail.is_open = false;
        let jobs = mem::take(&mut mail.jobs);
        drop(mail);
        drop(jobs);
    }
}

impl Home {
    #[cold]
    fn register(&self, waker: &Waker) {
        let old = lock(&self.mailbox.mail).waker.replace(waker.clone());
        let known = self.waker.replace(Some(waker.clone()));
        // Dropping one may run anything.
        let _ = panics::catch(|| drop((old, known)));
    }

    #[inline]
    fn open_mail(&self) {
        if self.mailbox.has_mail.load(Ordering::Relaxed) {
            self.read_mail();
        }
    }

    #[cold]
    fn read_mail(&self) {
        self.mailbox.has_mail.store(false, Ordering::Relaxed);
        let mut mail = lock(&self.mailbox.mail);
        let (returned, jobs) = (mem::take(&mut mail.returned), mem::take(&mut mail.jobs));
        drop(mail);
        for key in returned {
            let value = self.values.borrow_mut().try_remove(key);
            // It may be the app's, which may panic; the others aren't to suffer for that.
            let _ = panics::catch(|| drop(value));
        }
        for job in jobs {
            let _ = panics::catch(job);
        }
    }
}

/// Drops the values of this thread whose handles were dropped on other threads, and begins the
/// relays of the streams that are used there.
///
/// Pending for ever: the task is woken when there are more. A runtime polls it on each of its
/// workers.
pub fn poll_mail(cx: &mut Context<'_>) -> Poll<()> {
    let _ = HOME.try_with(|home| {
        let is_known = home
            .waker
            .borrow()
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()));
        if !is_known {
            home.register(cx.waker());
        }
        home.open_mail();
    });
    Poll::Pending
}

/// From now on, this thread does what other threads want done, until [`drop_all`]: whoever calls it
/// has [`poll_mail`] polled.
pub(crate) fn open_mailbox() {
    let _ = HOME.try_with(|home| lock(&home.mailbox.mail).is_open = true);
}

/// Drops all values of this thread: for a runtime that ends before its thread does. Their handles
/// give errors from then on.
pub fn drop_all() {
    let _ = HOME.try_with(|home| home.mailbox.close());
    let values = HOME.try_with(|home| {
        let gone: Rc<dyn Any> = Rc::new(());
        let mut values = home.values.borrow_mut();
        // Their places stay taken until their handles are gone, too: a handle never finds another's
        // value.
        let values = values.iter_mut();
        values
            .map(|(_, value)| mem::replace(value, Rc::clone(&gone)))
            .collect::<Vec<_>>()
    });
    drop(values);
}

impl Drop for Home {
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
