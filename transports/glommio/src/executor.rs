//! The tasks of a worker, as one task of glommio's: they run in turn, their panics end nothing but themselves, and they're dropped on their thread.
//!
//! glommio looks for events only when no task is ready, so one that wakes itself again and again would keep all others from theirs; it lets a panic end the thread, or the
//! process if it's one of a drop; and what waits when the executor ends, it leaves undropped.
use crate::clock::Timers;
use anyport_core::thread_bound;
use slab::Slab;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

/// How often a task that wakes itself, or that a task woke, runs before the reactor has its turn.
const ROUNDS: usize = 4;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// The worker of a thread.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    tasks: RefCell<Slab<Task>>,
    ready: RefCell<VecDeque<Arc<Ticket>>>,
    /// Of glommio's task that runs all of this; and whether it's running, or will.
    main: RefCell<Waker>,
    is_awake: Cell<bool>,
}

struct Task {
    ticket: Arc<Ticket>,
    /// None while it's polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// What wakes a task.
struct Ticket {
    key: usize,
    is_queued: AtomicBool,
    worker: Arc<Shared>,
}

/// What other threads can reach of a worker.
#[derive(Default)]
pub(crate) struct Shared {
    has_mail: AtomicBool,
    mail: Mutex<Mail>,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Mail {
    woken: Vec<Arc<Ticket>>,
    /// None: the worker has ended.
    main: Option<Waker>,
}

/// Asks the worker of this thread something.
pub(crate) fn current<T>(f: impl FnOnce(&Rc<Worker>) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

/// Spawns on the worker of this thread. A thread that's no worker's drops the future.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    if let Some(worker) = current(Rc::clone) {
        worker.spawn(Box::pin(future));
    }
}

impl Worker {
    /// Makes this thread a worker's, until the guard is dropped.
    pub(crate) fn enter() -> Entered {
        let worker = Rc::new(Self {
            shared: Arc::default(),
            tasks: RefCell::default(),
            ready: RefCell::default(),
            main: RefCell::new(Waker::noop().clone()),
            is_awake: Cell::new(true),
        });
        CURRENT.replace(Some(Rc::clone(&worker)));
        Entered(worker)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()>>>) {
        let mut tasks = self.tasks.borrow_mut();
        let ticket = Arc::new(Ticket {
            key: tasks.vacant_key(),
            is_queued: AtomicBool::new(true),
            worker: Arc::clone(&self.shared),
        });
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

    /// Has glommio run the worker's tasks.
    fn wake(&self) {
        if !self.is_awake.replace(true) {
            self.main.borrow().wake_by_ref();
        }
    }

    /// Runs the tasks that are ready, in turn. Whether some are still, when the reactor is to have its turn: then the worker isn't woken for what's spawned and woken
    /// meanwhile, so it has to be run again.
    pub(crate) fn run(&self, cx: &Context<'_>) -> bool {
        self.is_awake.set(true);
        self.refresh(cx);
        self.take_mail();
        self.wake_due();
        for _ in 0..ROUNDS {
            let ready = self.ready.borrow().len();
            for _ in 0..ready {
                let Some(ticket) = self.ready.borrow_mut().pop_front() else {
                    break;
                };
                self.poll(ticket);
            }
            if self.ready.borrow().is_empty() {
                self.is_awake.set(false);
                return false;
            }
        }
        true
    }

    fn poll(&self, ticket: Arc<Ticket>) {
        let key = ticket.key;
        let future = match self.tasks.borrow_mut().get_mut(key) {
            Some(task) if Arc::ptr_eq(&task.ticket, &ticket) => task.future.take(),
            _ => None,
        };
        // It has ended since it was woken.
        let Some(mut future) = future else { return };
        // From here on, it's queued again if it's woken.
        ticket.is_queued.store(false, Ordering::Release);
        let waker = Waker::from(ticket);
        let mut cx = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        if let Ok(Poll::Pending) = polled {
            if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                task.future = Some(future);
            }
            return;
        }
        self.tasks.borrow_mut().try_remove(key);
        // Dropping runs code of the app, too.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }

    fn refresh(&self, cx: &Context<'_>) {
        let mut main = self.main.borrow_mut();
        if !main.will_wake(cx.waker()) {
            main.clone_from(cx.waker());
            lock(&self.shared.mail).main = Some(main.clone());
        }
    }

    fn take_mail(&self) {
        if self.shared.has_mail.swap(false, Ordering::Acquire) {
            let woken = mem::take(&mut lock(&self.shared.mail).woken);
            self.ready.borrow_mut().extend(woken);
        }
    }

    fn wake_due(&self) {
        if self.next_deadline().is_none() {
            return;
        }
        let now = Instant::now();
        while let Some(waker) = self.shared.with_timers(|timers| timers.take_due(now)) {
            waker.wake();
        }
    }

    /// When somebody is to be woken next.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.shared.with_timers(|timers| timers.next())
    }

    /// Lets go of glommio's task, for all who might wake it: a waker that's dropped when its executor has ended is put, with its task, into a queue that nobody empties.
    pub(crate) fn leave(&self) {
        self.main.replace(Waker::noop().clone());
        lock(&self.shared.mail).main = None;
        let _ = thread_bound::poll_returned(&mut Context::from_waker(Waker::noop()));
    }

    /// Drops all tasks.
    pub(crate) fn clear(&self) {
        loop {
            // One at a time: what's dropped may spawn.
            let key = self.tasks.borrow().iter().next().map(|(key, _)| key);
            let Some(key) = key else { break };
            let task = self.tasks.borrow_mut().try_remove(key);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
        }
        self.ready.borrow_mut().clear();
    }
}

/// The worker of this thread, until it's dropped, with all its tasks.
pub(crate) struct Entered(pub(crate) Rc<Worker>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.clear();
        let mail = mem::take(&mut *lock(&self.0.shared.mail));
        drop(mail);
        CURRENT.replace(None);
    }
}

impl Mail {
    /// Under the lock, so that nobody holds a waker of a worker that has left.
    fn wake(&self) {
        if let Some(main) = &self.main {
            main.wake_by_ref();
        }
    }
}

impl Shared {
    pub(crate) fn with_timers<T>(&self, f: impl FnOnce(&mut Timers) -> T) -> T {
        f(&mut lock(&self.timers))
    }

    /// Has the worker look at its timers again.
    pub(crate) fn look(&self) {
        if self.with_worker(Worker::wake).is_none() {
            lock(&self.mail).wake();
        }
    }

    fn schedule(&self, ticket: Arc<Ticket>) {
        let mut ticket = Some(ticket);
        self.with_worker(|worker| ticket.take().map(|ticket| worker.enqueue(ticket)));
        let Some(ticket) = ticket else { return };
        let mut mail = lock(&self.mail);
        mail.woken.push(ticket);
        self.has_mail.store(true, Ordering::Release);
        if mail.woken.len() == 1 {
            mail.wake();
        }
    }

    /// Asks the worker something, if this is its thread.
    fn with_worker<T>(&self, f: impl FnOnce(&Worker) -> T) -> Option<T> {
        current(|worker| std::ptr::eq(&raw const *worker.shared, self).then(|| f(worker))).flatten()
    }
}

impl Wake for Ticket {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let worker = Arc::clone(&self.worker);
            worker.schedule(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            self.worker.schedule(Arc::clone(self));
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
