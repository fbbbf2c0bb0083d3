//! Values that can't leave their thread, behind handles that can: hyper wants upgraded streams to be `Send`.
use crate::engine::lock;
use hyper::rt::{Read, ReadBufCursor, Write};
use slab::Slab;
use std::{
    any::Any,
    cell::RefCell,
    fmt, io,
    io::IoSlice,
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// A value that stays on the thread that made it, whatever its type; what moves is a handle.
///
/// Streams of a runtime with a thread per core are `!Send`, but a [`Connection`](crate::Connection) is `Send`. So the thread keeps the stream, and
/// the connection holds one of these. It's safe code throughout: the handle is a number and a reference to the mailbox of its thread.
///
/// Used on another thread, it gives an error of the kind [`Unsupported`](io::ErrorKind::Unsupported). Dropped on another thread, the value is dropped at
/// home, as soon as that thread uses one of its own or asks [`poll_returned`]. When a thread ends, so do the values it kept.
///
/// ```
/// use anyport_core::ThreadBound;
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
    waker: Option<Waker>,
}

/// What a thread keeps.
struct Home {
    mailbox: Arc<Mailbox>,
    values: RefCell<Slab<Rc<dyn Any>>>,
}

thread_local! {
    static HOME: Home = Home { mailbox: Arc::default(), values: RefCell::default() };
}

impl<T: 'static> ThreadBound<T> {
    /// Keeps the value on this thread.
    pub fn new(value: T) -> Self {
        HOME.with(|home| {
            home.drop_returned();
            Self {
                home: Arc::clone(&home.mailbox),
                key: home.values.borrow_mut().insert(Rc::new(RefCell::new(value))),
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
        self.with_ref(|value| value.try_borrow_mut().map(|mut value| f(&mut value)))?
            .map_err(|_| io::Error::other("a value that's bound to its thread is in use already"))
    }

    fn with_ref<R>(&self, f: impl FnOnce(&RefCell<T>) -> R) -> io::Result<R> {
        let value = HOME.try_with(|home| {
            if !Arc::ptr_eq(&home.mailbox, &self.home) {
                return None;
            }
            if home.mailbox.has_mail.load(Ordering::Relaxed) {
                home.drop_returned();
            }
            // Counted, so that it may be dropped while it's used.
            home.values.borrow().get(self.key).cloned()
        });
        let value = value.ok().flatten();
        match value.as_ref().and_then(|value| value.downcast_ref()) {
            Some(value) => Ok(f(value)),
            None => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this stream belongs to another thread (on a runtime with a thread per core, serve an upgraded connection on the worker that upgraded it)",
            )),
        }
    }
}

impl<T> Drop for ThreadBound<T> {
    fn drop(&mut self) {
        let value = HOME.try_with(|home| match Arc::ptr_eq(&home.mailbox, &self.home) {
            true => home.values.borrow_mut().try_remove(self.key),
            false => {
                self.home.post(self.key);
                None
            }
        });
        // Dropped when nothing is borrowed any more: it may hold others.
        drop(value);
    }
}

impl Mailbox {
    fn post(&self, key: usize) {
        let mut mail = lock(&self.mail);
        mail.returned.push(key);
        self.has_mail.store(true, Ordering::Relaxed);
        let waker = mail.waker.take();
        drop(mail);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Home {
    fn drop_returned(&self) {
        if !self.mailbox.has_mail.swap(false, Ordering::Relaxed) {
            return;
        }
        let returned = std::mem::take(&mut lock(&self.mailbox.mail).returned);
        for key in returned {
            let value = self.values.borrow_mut().try_remove(key);
            drop(value);
        }
    }
}

/// Drops the values of this thread whose handles were dropped on other threads. Pending for ever: it's woken when there are more. A runtime polls it on each of its
/// workers.
pub fn poll_returned(cx: &mut Context<'_>) -> Poll<()> {
    let _ = HOME.try_with(|home| {
        let mut mail = lock(&home.mailbox.mail);
        match &mut mail.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(mail);
        home.drop_returned();
    });
    Poll::Pending
}

/// Drops all values of this thread: for a runtime that ends before its thread does. Their handles give errors from then on.
pub fn drop_all() {
    let values = HOME.try_with(|home| {
        let gone: Rc<dyn Any> = Rc::new(());
        let mut values = home.values.borrow_mut();
        // Their places stay taken until their handles are gone, too: a handle never finds another's value.
        let values = values.iter_mut();
        values
            .map(|(_, value)| std::mem::replace(value, Rc::clone(&gone)))
            .collect::<Vec<_>>()
    });
    drop(values);
}

impl<T> fmt::Debug for ThreadBound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadBound")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl<T: Read + Unpin + 'static> Read for ThreadBound<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|io| Pin::new(io).poll_read(cx, buf))?
    }
}

impl<T: Write + Unpin + 'static> Write for ThreadBound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|io| Pin::new(io).poll_write(cx, buf))?
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| Pin::new(io).poll_flush(cx))?
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| Pin::new(io).poll_shutdown(cx))?
    }

    fn is_write_vectored(&self) -> bool {
        self.with_ref(|io| io.try_borrow().is_ok_and(|io| io.is_write_vectored()))
            .unwrap_or(false)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| Pin::new(io).poll_write_vectored(cx, bufs))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A mailbox belongs to one thread, so each test has one of its own.
    fn on_a_thread(f: impl FnOnce() + Send + 'static) {
        thread::spawn(f).join().unwrap();
    }

    fn is_send<T: Send>(value: T) -> T {
        value
    }

    #[test]
    fn a_foreign_thread_gets_an_error_and_home_the_value() {
        on_a_thread(|| {
            let witness = Rc::new(());
            let mut bound = is_send(ThreadBound::new(Rc::clone(&witness)));
            bound
                .with(|value| assert_eq!(Rc::strong_count(value), 2))
                .unwrap();
            let bound = thread::spawn(move || {
                let error = bound.with(|_| ()).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::Unsupported);
                assert!(!bound.is_home());
                bound
            });
            drop(bound.join().unwrap());
            assert_eq!(Rc::strong_count(&witness), 1, "dropped at home");
        });
    }

    #[test]
    fn what_is_dropped_elsewhere_comes_home() {
        struct Flag(AtomicBool);
        impl std::task::Wake for Flag {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        on_a_thread(|| {
            let witness = Rc::new(());
            let bound = ThreadBound::new(Rc::clone(&witness));
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let waker = Waker::from(Arc::clone(&flag));
            assert!(poll_returned(&mut Context::from_waker(&waker)).is_pending());
            thread::spawn(move || drop(bound)).join().unwrap();
            assert!(flag.0.load(Ordering::SeqCst), "woken");
            assert_eq!(Rc::strong_count(&witness), 2, "not yet: nobody has looked");
            assert!(poll_returned(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(Rc::strong_count(&witness), 1);
        });
    }

    #[test]
    fn a_thread_that_ends_takes_its_values_along() {
        let (bound, dropped) = thread::spawn(|| {
            struct Drops(Arc<AtomicBool>);
            impl Drop for Drops {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::SeqCst);
                }
            }
            let dropped = Arc::new(AtomicBool::new(false));
            (ThreadBound::new(Drops(Arc::clone(&dropped))), dropped)
        })
        .join()
        .unwrap();
        assert!(dropped.load(Ordering::SeqCst));
        let mut bound = bound;
        assert!(bound.with(|_| ()).is_err());
    }

    #[test]
    fn a_value_that_holds_another_is_dropped() {
        on_a_thread(|| {
            let inner = ThreadBound::new(1);
            drop(ThreadBound::new(inner));
            HOME.with(|home| assert!(home.values.borrow().is_empty()));
        });
    }

    #[test]
    fn a_runtime_that_ends_drops_what_is_bound_to_its_thread() {
        on_a_thread(|| {
            let witness = Rc::new(());
            let mut bound = ThreadBound::new(Rc::clone(&witness));
            drop_all();
            assert_eq!(Rc::strong_count(&witness), 1);
            let mut other = ThreadBound::new(Rc::new(()));
            assert!(bound.with(|_| ()).is_err());
            drop(bound);
            assert!(other.with(|_| ()).is_ok(), "the next one has a place of its own");
        });
    }
}
