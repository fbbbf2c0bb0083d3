//! The tasks, the mailbox and the timers of a worker, for a runtime with a thread per core.
//!
//! All tasks of a worker are one task of its runtime. That task polls [`Tasks::run`]; the runtime
//! waits for events and for the [next deadline](Tasks::next_deadline). Such runtimes treat three
//! kinds of tasks differently: one that wakes itself repeatedly, one that panics, and one that is
//! pending when the runtime ends. Here all runtimes behave alike. Tasks run in turn, a panic ends
//! only its own task, and pending tasks are dropped on their own thread.
//!
//! # Examples
//!
//! A minimal runtime that waits by parking its thread. A real one waits with io_uring or epoll, and
//! calls [`Tasks::run`] in a future that it polls.
//!
//! ```
//! use anyport_core::runtime::local::{self, Tasks};
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
//! let tasks = Tasks::enter();
//! let nap = local::timer().sleep(Duration::from_millis(5));
//! let first = tasks.spawn(async move { nap.await });
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

use self::mailbox::{Mailbox, Ticket};
use super::{SharedTimer, Spawner};
use crate::runtime::{panics, thread_bound};
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Instant,
};

thread_local! {
    static CURRENT: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Spawns on the worker of this thread. On a thread that's no worker's, the future is dropped.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    spawn_boxed(Box::pin(future));
}

fn spawn_boxed(future: Pin<Box<dyn Future<Output = ()>>>) {
    if let Some(local) = current(Rc::clone) {
        local.spawn(future);
    }
}

/// The clock of this thread's worker: its sleeps are `Send`, and wake whatever task polls them, on
/// any thread. On a thread that's no worker's, they wake nobody.
#[must_use]
pub fn timer() -> SharedTimer {
    let mailbox = current(|local| Arc::clone(&local.mailbox));
    clock::clock(mailbox.unwrap_or_default())
}

/// How many times the worker of this thread has polled a task: as long as it stays the same, so
/// does the task that's polled. 0 on a thread that's no worker's.
#[must_use]
pub fn polls() -> u64 {
    current(|local| local.polls.get()).unwrap_or_default()
}

/// The tasks of the worker that this thread is, until it's dropped, and they with it.
///
/// # Contract
///
/// Whoever has it, polls [`run`](Self::run) each time that the waker which it was given is woken,
/// and at the [next deadline](Self::next_deadline). When the worker is to end, it's
/// [cleared](Self::clear) inside its runtime, or dropped there.
///
/// That waker is woken under a lock, so that nobody holds a copy of it when it has been let go of:
/// it must not run the tasks at once, there and then.
pub struct Tasks {
    local: Rc<Local>,
    before: Option<Rc<Local>>,
    spawner: Option<Spawner>,
}

/// A task that [`Tasks::spawn`] spawned.
#[derive(Debug)]
pub struct Spawned(Rc<Cell<bool>>);

/// What a thread knows of its worker.
struct Local {
    mailbox: Arc<Mailbox>,
    tasks: RefCell<Slab<Task>>,
    ready: RefCell<VecDeque<Arc<Ticket>>>,
    /// Of the runtime's task that runs all of this; and whether it's running, or will.
    main: RefCell<Waker>,
    is_awake: Cell<bool>,
    polls: Cell<u64>,
}

struct Task {
    ticket: Arc<Ticket>,
    /// None while it's polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Tasks {
    /// Makes this thread a worker's: it's where [`spawn`] spawns, and
    /// [`anyport::runtime::spawn`](crate::runtime::spawn()), too.
    #[must_use]
    pub fn enter() -> Self {
        thread_bound::open_mailbox();
        let local = Rc::new(Local {
            mailbox: Arc::default(),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            main: RefCell::new(Waker::noop().clone()),
            is_awake: Cell::new(true),
            polls: Cell::new(0),
        });
        Self {
            before: CURRENT.replace(Some(Rc::clone(&local))),
            local,
            spawner: Some(Spawner::enter(|future| spawn_boxed(future))),
        }
    }

    /// Spawns the task for which the worker lives: its accept loop, that is. It can be asked
    /// whether that's over, be it by a panic.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Spawned {
        let is_finished = Rc::new(Cell::new(false));
        let finish = Finish(Rc::clone(&is_finished));
        self.local.spawn(Box::pin(async move {
            let _finish = finish;
            future.await;
        }));
        Spawned(is_finished)
    }

    /// Polls the tasks that are ready, in turn, each of them up to `rounds` times if it's ready
    /// again; then the runtime has its turn, to look for events.
    ///
    /// `true`: some are ready even so. The waker isn't woken for them, nor for others that become
    /// ready: it's to be run again by itself, after that turn. `false`: it wakes.
    ///
    /// What's bound to this thread and was dropped elsewhere
    /// ([`poll_mail`](thread_bound::poll_mail)) is dropped here, too.
    #[must_use = "tasks that are ready wake nobody"]
    pub fn run(&self, cx: &mut Context<'_>, rounds: usize) -> bool {
        let local = &*self.local;
        local.is_awake.set(true);
        local.refresh(cx);
        local.take_mail();
        local.wake_due();
        let _ = panics::catch(|| thread_bound::poll_mail(cx));
        for _ in 0..rounds {
            let ready = local.ready.borrow().len();
            for _ in 0..ready {
                let Some(ticket) = local.ready.borrow_mut().pop_front() else {
                    break;
                };
                local.poll(ticket);
            }
            if local.ready.borrow().is_empty() {
                local.is_awake.set(false);
                return false;
            }
        }
        true
    }

    /// When it's to be run again, if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.local.mailbox.with_timers(|timers| timers.next())
    }

    /// Drops all tasks, and all values that are [bound](crate::runtime::ThreadBound) to this
    /// thread; and lets go of the waker that it was run with, for all who might wake it.
    ///
    /// It may be run again, if there's something to be seen through for which the runtime spawns
    /// tasks of its own.
    pub fn clear(&self) {
        self.local.clear();
        let _ = panics::catch(thread_bound::drop_all);
        self.local.main.replace(Waker::noop().clone());
        self.local.mailbox.forget();
        let _ = panics::catch(|| thread_bound::poll_mail(&mut Context::from_waker(Waker::noop())));
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // First, so that an app that spawns when it's dropped is told.
        self.spawner = None;
        self.clear();
        self.local.mailbox.close();
        CURRENT.replace(self.before.take());
    }
}

impl Spawned {
    /// Whether it's over: done, panicked, or dropped.
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

/// Asks the worker of this thread something.
fn current<T>(f: impl FnOnce(&Rc<Local>) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

impl Local {
    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let mut tasks = self.tasks.borrow_mut();
        let ticket = Ticket::new(tasks.vacant_key(), &self.mailbox);
        tasks.insert(Task {
            ticket: Arc::clone(&ticket),
            future: Some(future),
        });
        drop(tasks);
        self.enqueue(ticket);
    }

    fn enqueue(&self, ticket: Arc<Ticket>) {
        self.ready.borrow_mut().push_back(ticket);
        self.wake();
    }

    /// Has the runtime run the worker's tasks.
    fn wake(&self) {
        if !self.is_awake.replace(true) {
            self.main.borrow().wake_by_ref();
        }
    }

    fn poll(&self, ticket: Arc<Ticket>) {
        let key = ticket.key;
        let future = match self.tasks.borrow_mut().get_mut(key) {
            Some(task) if Arc::ptr_eq(&task.ticket, &ticket) => task.future.take(),
            _ => None,
        };
        // It has ended since it was woken.
        let Some(mut future) = future else { return };
        self.polls.set(self.polls.get() + 1);
        // From here on, it's queued again if it's woken. A store could come into effect after what
        // the task looks at.
        ticket.is_queued.swap(false, Ordering::AcqRel);
        let waker = Waker::from(ticket);
        let mut cx = Context::from_waker(&waker);
        let polled = panics::catch(|| future.as_mut().poll(&mut cx));
        if let Ok(Poll::Pending) = polled {
            if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                task.future = Some(future);
            }
            return;
        }
        self.tasks.borrow_mut().try_remove(key);
        // Dropping runs code of the app, too.
        let _ = panics::catch(|| drop(future));
    }

    fn refresh(&self, cx: &Context<'_>) {
        let mut main = self.main.borrow_mut();
        if !main.will_wake(cx.waker()) {
            main.clone_from(cx.waker());
            self.mailbox.set_main(&main);
        }
    }

    fn take_mail(&self) {
        if let Some(woken) = self.mailbox.take() {
            self.ready.borrow_mut().extend(woken);
        }
    }

    fn wake_due(&self) {
        if self.mailbox.with_timers(|timers| timers.next()).is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(waker) = self.mailbox.with_timers(|timers| timers.take_due(now)) {
            waker.wake();
        }
    }

    /// Drops all tasks.
    fn clear(&self) {
        loop {
            // One at a time: what's dropped may spawn.
            let key = self.tasks.borrow().iter().next().map(|(key, _)| key);
            let Some(key) = key else { break };
            let task = self.tasks.borrow_mut().try_remove(key);
            let _ = panics::catch(|| drop(task));
        }
        self.ready.borrow_mut().clear();
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("tasks", &self.local.tasks.borrow().len())
            .field("ready", &self.local.ready.borrow().len())
            .finish_non_exhaustive()
    }
}
