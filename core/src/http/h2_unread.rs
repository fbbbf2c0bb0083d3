//! The bodies of HTTP/2 requests that nobody reads any more: what's left of them is read and thrown
//! away.
//!
//! h2 resets a stream whose body is dropped before its end. That's no more than right (RFC 9113
//! 8.1), but of the streams that it has reset it remembers fifty, for a second; a frame that was on
//! its way to another one it takes for an error of the peer's, and too many of these end the
//! connection. So a stream is reset only if its peer goes on sending, or neither sends nor ends it.
use super::discard::Discard;
use crate::{
    engine::{ConnState, LazyTimeout, Stage, WorkerState},
    runtime::lock,
};
use futures_util::{Stream, stream::FuturesUnordered};
use hyper::body::Incoming;
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// As much as a peer may have on its way without hearing of its answer: the window of a stream,
/// which is hyper's.
const MOST: u64 = 1024 * 1024;

/// How long a peer may send nothing, and not end the stream either, unless a gap in a body may be
/// no longer than that anyway. As in the lingering close of a connection.
const QUIET: Duration = Duration::from_secs(2);

/// How long a peer may go on sending.
const LONGEST: Duration = Duration::from_secs(30);

/// Where a connection's unread bodies are left, by whichever task dropped them.
pub(super) struct Unread {
    bodies: Mutex<Vec<Discard<Incoming>>>,
    /// There may be some.
    any: AtomicBool,
}

impl Unread {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            bodies: Mutex::default(),
            any: AtomicBool::new(false),
        })
    }

    /// Throws away what's there of a body, and leaves it to its connection if more is to come.
    pub(super) fn store(&self, body: Incoming, connection: &ConnState) {
        let mut discard = Discard::new(body, MOST);
        // Most of them are whole by now, and in no need of a task.
        if discard
            .read(&mut Context::from_waker(Waker::noop()))
            .is_ready()
        {
            return;
        }
        lock(&self.bodies).push(discard);
        self.any.store(true, Relaxed);
        connection.task.wake();
    }

    /// What was left. The wake that follows makes sure that it's seen.
    fn take(&self) -> Vec<Discard<Incoming>> {
        match self.any.load(Relaxed) {
            true => {
                let mut bodies = lock(&self.bodies);
                self.any.store(false, Relaxed);
                std::mem::take(&mut *bodies)
            }
            false => Vec::new(),
        }
    }
}

/// Reads a connection's unread bodies, in its turn.
pub(super) struct Discards {
    unread: Arc<Unread>,
    worker: Arc<WorkerState>,
    /// None, if there are none.
    reading: Option<FuturesUnordered<Discarding>>,
}

impl Discards {
    pub(super) fn new(unread: Arc<Unread>, worker: &Arc<WorkerState>) -> Self {
        Self {
            unread,
            worker: Arc::clone(worker),
            reading: None,
        }
    }

    /// Reads as far as it goes. Whoever polls is woken when it goes on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        for discard in self.unread.take() {
            let discarding = Discarding {
                discard,
                worker: Arc::clone(&self.worker),
                since: None,
                timeout: LazyTimeout::default(),
            };
            self.reading.get_or_insert_default().push(discarding);
        }
        if let Some(reading) = &mut self.reading {
            while let Poll::Ready(done) = Pin::new(&mut *reading).poll_next(cx) {
                if done.is_none() {
                    self.reading = None;
                    break;
                }
            }
        }
    }
}

/// Reads the rest of one body, for so long and no longer.
struct Discarding {
    discard: Discard<Incoming>,
    worker: Arc<WorkerState>,
    since: Option<Instant>,
    /// With a peer that sends nothing.
    timeout: LazyTimeout,
}

impl Future for Discarding {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        let before = me.discard.left();
        if me.discard.read(cx).is_ready() {
            return Poll::Ready(());
        }
        let now = me.worker.now();
        let since = *me.since.get_or_insert(now);
        // A drain isn't held up by a peer that goes on sending.
        if me.discard.left() != before && me.worker.stage() == Stage::Serving {
            if now.saturating_duration_since(since) > LONGEST {
                return Poll::Ready(());
            }
            me.timeout.reset();
        }
        let gap = me.worker.timeouts().body_gap.min(QUIET);
        me.timeout.poll(gap, &me.worker, cx)
    }
}
