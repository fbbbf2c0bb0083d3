//! The tasks of a worker, as one task of monoio's: they run in turn, their panics end nothing but themselves, and they're dropped on their thread.
//!
//! monoio's own queue has a task that wakes itself run before all others, so one that does it again and again starves them all, and lets a panic end the thread.
use crate::{clock::Timers, driver::Driver};
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

thread_local! {
    static CURRENT: RefCell<Option<Rc<Worker>>> = const { RefCell::new(None) };
}

/// The worker of a thread.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    driver: Driver,
    tasks: RefCell<Slab<Task>>,
    ready: RefCell<VecDeque<Arc<Ticket>>>,
    /// Of monoio's task that runs all of this; and whether it's running, or will.
    main: RefCell<Waker>,
    is_awake: Cell<bool>,
    /// How often the worker has waited for completions; and whether it has since it last ran.
    round: Cell<u64>,
    has_waited: Cell<bool>,
    /// How often a task was polled.
    turn: Cell<u64>,
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
    main: Option<Waker>,
    /// The worker has ended: nobody is woken any more.
    is_closed: bool,
}

/// Asks the worker of this thread something.
pub(crate) fn current<T>(f: impl FnOnce(&Rc<Worker>) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

/// How often the worker of this thread has waited for completions.
pub(crate) fn round() -> u64 {
    current(|worker| worker.round.get()).unwrap_or_default()
}

/// How often the worker of this thread has polled a task.
pub(crate) fn turn() -> u64 {
    current(|worker| worker.turn.get()).unwrap_or_default()
}

/// Spawns on the worker of this thread. A thread that's no worker's drops the future.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    if let Some(worker) = current(Rc::clone) {
        worker.spawn(Box::pin(future));
    }
}

impl Worker {
    /// Makes this thread a worker's, until the guard is dropped.
    pub(crate) fn enter(driver: Driver) -> Entered {
        let worker = Rc::new(Self {
            shared: Arc::default(),
            driver,
            tasks: RefCell::default(),
            ready: RefCell::default(),
            main: RefCell::new(Waker::noop().clone()),
            is_awake: Cell::new(true),
            round: Cell::new(0),
            has_waited: Cell::new(false),
            turn: Cell::new(0),
        });
        CURRENT.replace(Some(Rc::clone(&worker)));
        Entered(worker)
    }

    pub(crate) fn driver(&self) -> Driver {
        self.driver
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

    /// Has monoio run the worker's tasks.
    fn wake(&self) {
        if !self.is_awake.replace(true) {
            self.main.borrow().wake_by_ref();
        }
    }

    /// Runs each task that's ready once. Those that are ready again by then, are so in the next round, when the driver has had its turn.
    pub(crate) fn run(&self, cx: &mut Context<'_>) {
        if self.has_waited.get() {
            self.round.set(self.round.get() + 1);
        }
        self.is_awake.set(true);
        self.refresh(cx);
        self.take_mail();
        self.wake_due();
        let ready = self.ready.borrow().len();
        for _ in 0..ready {
            let Some(ticket) = self.ready.borrow_mut().pop_front() else {
                break;
            };
            self.poll(ticket);
        }
        self.is_awake.set(false);
        let is_done = self.ready.borrow().is_empty();
        self.has_waited.set(is_done);
        if !is_done {
            self.wake();
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
        // From here on, it's queued again if it's woken.
        ticket.is_queued.store(false, Ordering::Release);
        self.turn.set(self.turn.get() + 1);
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
        let closed = Mail {
            is_closed: true,
            ..Mail::default()
        };
        // What was in it may hold the mailbox itself.
        let mail = mem::replace(&mut *lock(&self.0.shared.mail), closed);
        drop(mail);
        CURRENT.replace(None);
    }
}

impl Shared {
    pub(crate) fn with_timers<T>(&self, f: impl FnOnce(&mut Timers) -> T) -> T {
        f(&mut lock(&self.timers))
    }

    /// Has the worker look at its timers again.
    pub(crate) fn look(&self) {
        if self.with_worker(Worker::wake).is_none() {
            let main = lock(&self.mail).main.clone();
            if let Some(main) = main {
                main.wake();
            }
        }
    }

    fn schedule(&self, ticket: Arc<Ticket>) {
        let mut ticket = Some(ticket);
        self.with_worker(|worker| ticket.take().map(|ticket| worker.enqueue(ticket)));
        let Some(ticket) = ticket else { return };
        let mut mail = lock(&self.mail);
        if mail.is_closed {
            return;
        }
        mail.woken.push(ticket);
        self.has_mail.store(true, Ordering::Release);
        let main = (mail.woken.len() == 1).then(|| mail.main.clone()).flatten();
        drop(mail);
        if let Some(main) = main {
            main.wake();
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

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
