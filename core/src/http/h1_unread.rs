//! HTTP/1: request bodies that the app does not read to the end.
//!
//! The rest is read while the response is being sent, so that the next request can be read. If the
//! rest is too long, or chunked and incomplete, the response says `Connection: close`. Either way,
//! the response is not delayed.
use super::{after_poll, discard::Discard, timed_body::TimedBody};
use crate::{
    engine::{ConnState, LazyTimeout, WorkerState},
    runtime::lock,
};
use http_body::Body as _;
use hyper::body::Incoming;
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The most bytes that are read after a response, as in Go's net/http.
const MAX_BYTES: u64 = 256 * 1024;

/// The longest time that this may take.
const MAX_TIME: Duration = Duration::from_secs(5);

/// The place for a request's body that the app has dropped, on any thread. The connection takes the
/// body from there.
#[derive(Default)]
pub(super) struct H1Unread {
    remaining: Mutex<Remaining>,
    /// The timer of the request timeout.
    timeout: Mutex<LazyTimeout>,
}

#[derive(Default)]
enum Remaining {
    /// The body has been read, or is being read.
    #[default]
    Nothing,
    Body(TimedBody<Incoming>),
    /// The client waits for `100 Continue` (RFC 9110 10.1.1), which was not sent.
    NotRequested,
}

impl H1Unread {
    pub(super) fn store(&self, body: TimedBody<Incoming>) {
        *lock(&self.remaining) = Remaining::Body(body);
    }

    pub(super) fn store_unrequested(&self) {
        *lock(&self.remaining) = Remaining::NotRequested;
    }

    /// Ready when the app has taken longer than `timeout`.
    pub(super) fn poll_timeout(
        &self,
        timeout: Duration,
        worker: &WorkerState,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        lock(&self.timeout).poll(timeout, worker, cx)
    }

    /// Makes the connection that is being polled read the rest after the response's head. `false`:
    /// the rest is too long, or of unknown length, so this response has to be the last.
    pub(super) fn read_in_background(&self) -> bool {
        let remaining = mem::take(&mut *lock(&self.remaining));
        match remaining {
            Remaining::Nothing => true,
            Remaining::NotRequested => false,
            Remaining::Body(body) => match body.size_hint().exact() {
                Some(length) if length > MAX_BYTES => false,
                Some(_) => {
                    if let Some(task) = DiscardTask::new(body) {
                        after_poll::set_background(Box::pin(task));
                    }
                    true
                }
                // A body of unknown length is read only if all of it has arrived.
                None => {
                    let read =
                        Discard::new(body, MAX_BYTES).read(&mut Context::from_waker(Waker::noop()));
                    read == Poll::Ready(true)
                }
            },
        }
    }
}

/// Reads a body to its end and discards it, within a limit of time.
struct DiscardTask {
    discard: Discard<TimedBody<Incoming>>,
    connection: Weak<ConnState>,
    worker: Arc<WorkerState>,
    timeout: LazyTimeout,
}

impl DiscardTask {
    /// `None`: the body is at its end.
    fn new(body: TimedBody<Incoming>) -> Option<Self> {
        let gap = body.gap.as_ref()?;
        let (worker, connection) = (Arc::clone(&gap.worker), Weak::clone(&gap.connection));
        Some(Self {
            discard: Discard::new(body, MAX_BYTES),
            connection,
            worker,
            timeout: LazyTimeout::default(),
        })
    }
}

impl Future for DiscardTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        if let Poll::Ready(is_whole) = me.discard.read(cx) {
            if let Some(connection) = me.connection.upgrade()
                && is_whole
            {
                connection.flags.cancel_linger();
            }
            return Poll::Ready(());
        }
        me.timeout.poll(MAX_TIME, &me.worker, cx)
    }
}
