//! HTTP/2: request bodies that the app does not read to the end. The rest is read and discarded.
//!
//! h2 resets a stream whose body is dropped early, as it may (RFC 9113 8.1). But h2 remembers only
//! fifty reset streams, and each for one second. A frame for a forgotten stream counts as an error
//! of the client, and too many of them end the connection. So a stream is reset only if the client
//! goes on sending for too long, or neither sends nor ends the stream.
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

/// As many bytes as a client may have sent before it sees the response: hyper's stream window.
const MAX_BYTES: u64 = 1024 * 1024;

/// How long a client may send nothing without ending the stream, if the body timeout is not
/// shorter. The lingering close of a connection uses the same time.
const MAX_SILENCE: Duration = Duration::from_secs(2);

/// How long a client may go on sending.
const MAX_TIME: Duration = Duration::from_secs(30);

/// The unread bodies of a connection, which the tasks of its streams add.
pub(super) struct Unread {
    bodies: Mutex<Vec<Discard<Incoming>>>,
    /// Whether there may be any.
    any: AtomicBool,
}

impl Unread {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            bodies: Mutex::default(),
            any: AtomicBool::new(false),
        })
    }

    /// Discards what has arrived of a body. If more is to come, the connection's task reads it.
    pub(super) fn store(&self, body: Incoming, connection: &ConnState) {
        let mut discard = Discard::new(body, MAX_BYTES);
        // Most bodies have arrived completely and need no task.
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

    /// The bodies that were left. The connection is woken after each `store`.
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

/// Reads the unread bodies of a connection, polled by the connection's task.
pub(super) struct Discards {
    unread: Arc<Unread>,
    worker: Arc<WorkerState>,
    /// `None`: there are no bodies.
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

    /// Reads what has arrived. The task is woken when there is more.
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

/// Reads the rest of one body within limits of time.
struct Discarding {
    discard: Discard<Incoming>,
    worker: Arc<WorkerState>,
    since: Option<Instant>,
    /// The timer of a client that sends nothing.
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
        // A client that goes on sending does not delay a drain.
        if me.discard.left() != before && me.worker.stage() == Stage::Serving {
            if now.saturating_duration_since(since) > MAX_TIME {
                return Poll::Ready(());
            }
            me.timeout.reset();
        }
        let gap = me.worker.timeouts().body_gap.min(MAX_SILENCE);
        me.timeout.poll(gap, &me.worker, cx)
    }
}
