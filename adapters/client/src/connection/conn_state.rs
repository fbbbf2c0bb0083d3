//! What a connection's task, its stream and its response bodies tell each other. It is `Send` and
//! `Sync` on every runtime, since hyper moves upgraded streams and bodies between threads.
use super::timeout::Deadlines;
use crate::pool::{OriginFacts, lock};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

#[derive(Debug)]
pub(crate) struct ConnState {
    pub(crate) facts: Arc<OriginFacts>,
    /// The task of the connection. It is registered seldom and woken often.
    task: Mutex<Option<Waker>>,
    /// The stream is closed.
    is_closed: AtomicBool,
    /// The timer of the task has fired, or has to fire earlier.
    is_due: AtomicBool,
    pub(super) deadlines: Deadlines,
    /// Successful reads since [`expect_read`](Self::expect_read). The end of the stream is one.
    reads: AtomicUsize,
    /// HTTP/2: requests that have ended, and that the task has not yet counted.
    ended: AtomicUsize,
    /// HTTP/2: the server's first SETTINGS are awaited. hyper does not report their arrival, so
    /// each read and write wakes the task, which checks for them.
    awaits_settings: AtomicBool,
}

impl ConnState {
    pub(super) fn new(facts: Arc<OriginFacts>) -> Self {
        Self {
            facts,
            task: Mutex::new(None),
            is_closed: AtomicBool::new(false),
            is_due: AtomicBool::new(false),
            deadlines: Deadlines::default(),
            reads: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            awaits_settings: AtomicBool::new(false),
        }
    }

    /// Registers the connection's task. `registered` is the waker of the last call.
    #[inline]
    pub(super) fn register(&self, task: &Waker, registered: &mut Option<Waker>) {
        if registered
            .as_ref()
            .is_some_and(|waker| waker.will_wake(task))
        {
            return;
        }
        *lock(&self.task) = Some(task.clone());
        *registered = Some(task.clone());
    }

    fn wake_task(&self) {
        let task = lock(&self.task).clone();
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.wake_task();
    }

    /// Ready when the stream is closed.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        *lock(&self.task) = Some(cx.waker().clone());
        match self.is_closed.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Wakes the task, which arms its timer anew.
    pub(super) fn make_due(&self) {
        self.is_due.store(true, Ordering::Release);
        self.wake_task();
    }

    /// Whether the timer has fired, or has to be armed anew, since the last call.
    #[inline]
    pub(super) fn take_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Acquire)
    }

    /// Counts reads from zero: a request is about to be sent.
    pub(crate) fn expect_read(&self) {
        self.reads.store(0, Ordering::Relaxed);
    }

    /// Successful reads since `expect_read`. The end of the stream is one.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// A request of HTTP/2 has ended.
    pub(crate) fn end_request(&self) {
        self.ended.fetch_add(1, Ordering::Release);
        self.wake_task();
    }

    pub(crate) fn take_ended(&self) -> usize {
        match self.ended.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.ended.swap(0, Ordering::Acquire),
        }
    }

    pub(super) fn await_settings(&self, awaits: bool) {
        self.awaits_settings.store(awaits, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn on_read(&self) {
        // Only one task reads, so nothing is lost between these two.
        let reads = self.reads.load(Ordering::Relaxed);
        self.reads.store(reads + 1, Ordering::Relaxed);
        self.on_io();
    }

    #[inline]
    pub(super) fn on_io(&self) {
        if self.awaits_settings.load(Ordering::Relaxed) {
            self.wake_task();
        }
    }
}

/// The waker of the connection's timer. So the task sees whether it was the timer that woke it, and
/// looks at the deadlines only then.
impl Wake for ConnState {
    fn wake(self: Arc<Self>) {
        self.make_due();
    }
}
