//! How the tasks of a worker become ready: on its own thread through a queue without a lock, and
//! from other threads through a mailbox.
use super::timers::Timers;
use crate::runtime::lock;
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt, mem,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

thread_local! {
    static CURRENT: RefCell<Option<Rc<RunQueue>>> = const { RefCell::new(None) };
}

/// The tasks that are ready to be polled, on the thread of their worker.
pub(super) struct RunQueue {
    mailbox: Arc<Mailbox>,
    ready: RefCell<VecDeque<Arc<TaskWaker>>>,
    /// The waker of the runtime's task that runs the worker's tasks.
    main: RefCell<Waker>,
    is_scheduled: Cell<bool>,
}

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

impl RunQueue {
    /// Makes the queue of a worker. Its runtime is about to run the tasks.
    pub(super) fn new() -> Self {
        Self {
            mailbox: Arc::default(),
            ready: RefCell::default(),
            main: RefCell::new(Waker::noop().clone()),
            is_scheduled: Cell::new(true),
        }
    }

    /// Makes this the queue of the current thread. Returns the queue before it.
    pub(super) fn replace_current(current: Option<Rc<Self>>) -> Option<Rc<Self>> {
        CURRENT.replace(current)
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(super) fn push(&self, task: Arc<TaskWaker>) {
        self.ready.borrow_mut().push_back(task);
        self.wake();
    }

    pub(super) fn pop(&self) -> Option<Arc<TaskWaker>> {
        self.ready.borrow_mut().pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.borrow().len()
    }

    pub(super) fn clear(&self) {
        self.ready.borrow_mut().clear();
    }

    /// Makes the runtime run the worker's tasks.
    fn wake(&self) {
        if !self.is_scheduled.replace(true) {
            self.main.borrow().wake_by_ref();
        }
    }

    /// The runtime runs the worker's tasks now, in the task of this waker. Tasks that other threads
    /// have woken are ready then.
    pub(super) fn begin_run(&self, waker: &Waker) {
        self.is_scheduled.set(true);
        let mut main = self.main.borrow_mut();
        if !main.will_wake(waker) {
            main.clone_from(waker);
            self.mailbox.set_main(&main);
        }
        drop(main);
        if let Some(woken) = self.mailbox.take() {
            self.ready.borrow_mut().extend(woken);
        }
    }

    /// No task is ready: the next one wakes the runtime.
    pub(super) fn end_run(&self) {
        self.is_scheduled.set(false);
    }

    /// Releases the runtime's waker, with all its copies.
    pub(super) fn release_main(&self) {
        self.main.replace(Waker::noop().clone());
        self.mailbox.clear_main();
    }
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
        if self.with_run_queue(RunQueue::wake).is_none() {
            lock(&self.messages).wake();
        }
    }

    /// The tasks that other threads have woken.
    fn take(&self) -> Option<Vec<Arc<TaskWaker>>> {
        let has_messages = self.has_messages.swap(false, Ordering::Acquire);
        has_messages.then(|| mem::take(&mut lock(&self.messages).woken))
    }

    /// Sets the waker for messages of other threads.
    fn set_main(&self, main: &Waker) {
        let old = lock(&self.messages).main.replace(main.clone());
        // The drop of a waker may run any code, so it happens outside of the lock.
        drop(old);
    }

    /// Removes the waker for messages of other threads.
    fn clear_main(&self) {
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
        self.with_run_queue(|queue| task.take().map(|task| queue.push(task)));
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

    /// Calls `f` with the worker's queue, if this is its thread.
    fn with_run_queue<T>(&self, f: impl FnOnce(&RunQueue) -> T) -> Option<T> {
        let call =
            |queue: &Rc<RunQueue>| std::ptr::eq(&raw const *queue.mailbox, self).then(|| f(queue));
        CURRENT
            .try_with(|current| current.borrow().as_ref().and_then(call))
            .ok()
            .flatten()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}
