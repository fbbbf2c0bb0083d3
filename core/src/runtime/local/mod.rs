//! The tasks, the mailbox and the timers of a worker, for a runtime with a thread per core.
//!
//! All tasks of a worker are one task of its runtime. That task polls [`LocalTasks::run`]; the
//! runtime waits for events and for the [next deadline](LocalTasks::next_deadline). Such runtimes
//! differ in three cases: a task wakes itself repeatedly, a task panics, or a task is pending when
//! the runtime ends. With this module they all behave alike. Tasks run in turn, a panic ends only
//! its own task, and pending tasks are dropped on their own thread.
//!
//! # Examples
//!
//! A minimal runtime that waits by parking its thread. A real one waits with io_uring or epoll, and
//! calls [`LocalTasks::run`] in a future that it polls.
//!
//! ```
//! use anyport_core::runtime::local::{self, LocalTasks};
//! use std::{sync::Arc, task::{Context, Wake, Waker}, thread, time::{Duration, Instant}};
//!
//! struct Unpark(thread::Thread);
//!
//! impl Wake for Unpark {
//!     fn wake(self: Arc<Self>) {
//!         self.0.unpark();
//!     }
//! }
//!
//! let tasks = LocalTasks::enter();
//! let sleep = local::timer().sleep(Duration::from_millis(5));
//! let first = tasks.spawn(async move { sleep.await });
//! let waker = Waker::from(Arc::new(Unpark(thread::current())));
//! loop {
//!     let is_ready = tasks.run(&mut Context::from_waker(&waker), 4);
//!     match tasks.next_deadline() {
//!         _ if first.is_finished() => break,
//!         _ if is_ready => {}
//!         Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
//!         None => thread::park(),
//!     }
//! }
//! ```
mod clock;
mod mailbox;
#[cfg(test)]
mod tests;
mod timers;

use self::mailbox::{RunQueue, TaskWaker};
use super::{SharedTimer, Spawner};
use crate::runtime::{panics, thread_bound};
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    fmt,
    future::Future,
    mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Instant,
};

thread_local! {
    static CURRENT: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Spawns on the worker of this thread. On a thread without a worker, the future is dropped.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    spawn_boxed(Box::pin(future));
}

fn spawn_boxed(future: Pin<Box<dyn Future<Output = ()>>>) {
    if let Some(local) = current(Rc::clone) {
        local.spawn(future);
    }
}

/// The clock of this thread's worker. Its sleeps are `Send` and wake any task that polls them, on
/// any thread. On a thread without a worker they wake nothing.
#[must_use]
pub fn timer() -> SharedTimer {
    let mailbox = current(|local| Arc::clone(local.queue.mailbox()));
    clock::clock(mailbox.unwrap_or_default())
}

/// A number that identifies the current poll of a task on this thread's worker. It counts the polls
/// of all tasks so far. Two calls with the same result are within the same poll. Returns 0 on a
/// thread without a worker.
#[must_use]
pub fn current_poll() -> u64 {
    current(|local| local.polls.get()).unwrap_or_default()
}

/// The number of tasks of this thread's worker that have not ended, for tests. It is 0 on a thread
/// without a worker.
#[must_use]
pub fn task_count() -> usize {
    current(|local| local.tasks.borrow().len()).unwrap_or_default()
}

/// The tasks of this thread's worker. Dropping this value drops the tasks.
///
/// # Contract
///
/// The runtime calls [`run`](Self::run) each time the waker passed to it is woken, and at the [next
/// deadline](Self::next_deadline). At the end of the worker it calls [`clear`](Self::clear) or
/// drops this value, inside the runtime.
///
/// The waker of [`run`](Self::run) is woken under a lock, so that no copy of it remains after its
/// release. Its `wake` must not run the tasks synchronously.
pub struct LocalTasks {
    local: Rc<Local>,
    before: (Option<Rc<Local>>, Option<Rc<RunQueue>>),
    spawner: Option<Spawner>,
}

/// A task that [`LocalTasks::spawn`] spawned.
#[derive(Debug)]
pub struct Spawned(Rc<Cell<bool>>);

/// The worker of this thread.
struct Local {
    queue: Rc<RunQueue>,
    tasks: RefCell<Slab<Task>>,
    polls: Cell<u64>,
}

struct Task {
    waker: Arc<TaskWaker>,
    /// `None` during its poll.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl LocalTasks {
    /// Makes this thread a worker: [`spawn`] and
    /// [`anyport::runtime::spawn`](crate::runtime::spawn()) spawn on it.
    #[must_use]
    pub fn enter() -> Self {
        thread_bound::open_mailbox();
        let queue = Rc::new(RunQueue::new());
        let local = Rc::new(Local {
            queue: Rc::clone(&queue),
            tasks: RefCell::default(),
            polls: Cell::new(0),
        });
        Self {
            before: (
                CURRENT.replace(Some(Rc::clone(&local))),
                RunQueue::replace_current(Some(queue)),
            ),
            local,
            spawner: Some(Spawner::enter(|future| spawn_boxed(future))),
        }
    }

    /// Spawns the task that the worker exists for: its accept loop. The returned value reports
    /// whether the task has ended, even by a panic.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Spawned {
        let is_finished = Rc::new(Cell::new(false));
        let finish = Finish(Rc::clone(&is_finished));
        self.local.spawn(Box::pin(async move {
            let _finish = finish;
            future.await;
        }));
        Spawned(is_finished)
    }

    /// Polls the tasks that are ready, round-robin, each up to `max_polls` times if it is ready
    /// again. Then the runtime checks for events.
    ///
    /// Returns `true` if tasks are still ready. The runtime must then check for events and call
    /// this again. Until that call, tasks that become ready do not wake the waker. Returns `false`
    /// if no task is ready. The next task that becomes ready then wakes the waker.
    ///
    /// It also drops values of this thread whose handles were dropped on other threads
    /// ([`poll_mailbox`](thread_bound::poll_mailbox)).
    #[must_use = "ready tasks do not wake the waker"]
    pub fn run(&self, cx: &mut Context<'_>, max_polls: usize) -> bool {
        let local = &*self.local;
        let queue = &*local.queue;
        queue.begin_run(cx.waker());
        local.wake_due();
        let _ = panics::catch(|| thread_bound::poll_mailbox(cx));
        for _ in 0..max_polls {
            for _ in 0..queue.len() {
                let Some(waker) = queue.pop() else { break };
                local.poll(waker);
            }
            if queue.len() == 0 {
                queue.end_run();
                return false;
            }
        }
        true
    }

    /// The time at which to call [`run`](Self::run) if no event occurs before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.local.next_deadline()
    }

    /// Drops all tasks, and all values that are [bound](crate::runtime::ThreadBound) to this
    /// thread. Releases the waker of [`run`](Self::run), with all its copies.
    ///
    /// [`run`](Self::run) may be called afterwards, for tasks that the runtime itself spawns to
    /// complete its operations.
    pub fn clear(&self) {
        self.local.clear();
        let _ = panics::catch(thread_bound::drop_all);
        self.local.queue.release_main();
        let _ =
            panics::catch(|| thread_bound::poll_mailbox(&mut Context::from_waker(Waker::noop())));
    }
}

impl Drop for LocalTasks {
    fn drop(&mut self) {
        // Cleared first, so that an app that spawns in a drop gets an error.
        self.spawner = None;
        self.clear();
        self.local.queue.mailbox().close();
        let (local, queue) = mem::take(&mut self.before);
        CURRENT.replace(local);
        RunQueue::replace_current(queue);
    }
}

impl Spawned {
    /// Whether the task has ended: ready, panicked, or dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.get()
    }
}

struct Finish(Rc<Cell<bool>>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Calls `f` with the worker of this thread.
fn current<T>(f: impl FnOnce(&Rc<Local>) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

impl Local {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let mut tasks = self.tasks.borrow_mut();
        let waker = TaskWaker::new(tasks.vacant_key(), self.queue.mailbox());
        tasks.insert(Task {
            waker: Arc::clone(&waker),
            future: Some(future),
        });
        drop(tasks);
        self.queue.push(waker);
    }

    fn poll(&self, waker: Arc<TaskWaker>) {
        let key = waker.key;
        let future = match self.tasks.borrow_mut().get_mut(key) {
            Some(task) if Arc::ptr_eq(&task.waker, &waker) => task.future.take(),
            _ => None,
        };
        // The task has ended since it was woken.
        let Some(mut future) = future else { return };
        self.polls.set(self.polls.get() + 1);
        // From here on, a wake queues the task again. A plain store could take effect after the
        // reads of the poll.
        waker.is_queued.swap(false, Ordering::AcqRel);
        let waker = Waker::from(waker);
        let mut cx = Context::from_waker(&waker);
        let polled = panics::catch(|| future.as_mut().poll(&mut cx));
        if let Ok(Poll::Pending) = polled {
            if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                task.future = Some(future);
            }
            return;
        }
        self.tasks.borrow_mut().try_remove(key);
        // The drop runs code of the app, too.
        let _ = panics::catch(|| drop(future));
    }

    fn next_deadline(&self) -> Option<Instant> {
        let next = self.queue.mailbox().with_timers(|timers| timers.next());
        next.map(|(at, _)| at)
    }

    fn wake_due(&self) {
        if self.next_deadline().is_none() {
            return;
        }
        let (now, mailbox) = (Instant::now(), self.queue.mailbox());
        while let Some(waker) = mailbox.with_timers(|timers| timers.take_due(now)) {
            waker.wake();
        }
    }

    /// Drops all tasks.
    fn clear(&self) {
        loop {
            // One at a time: a dropped task may spawn.
            let key = self.tasks.borrow().iter().next().map(|(key, _)| key);
            let Some(key) = key else { break };
            let task = self.tasks.borrow_mut().try_remove(key);
            let _ = panics::catch(|| drop(task));
        }
        self.queue.clear();
    }
}

impl fmt::Debug for LocalTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTasks")
            .field("tasks", &self.local.tasks.borrow().len())
            .field("ready", &self.local.queue.len())
            .finish_non_exhaustive()
    }
}
