//! HTTP/1: what's left of a request's body that nobody reads any more. It's read behind the
//! response, so that the next request is found, or the response says that there's to be none on
//! this connection; either way, the response isn't delayed.
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

/// As much is read behind a response, as Go's net/http does.
const MOST: u64 = 256 * 1024;

/// So long it may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Where the app leaves a request's body, on whichever thread, for the connection to find it.
#[derive(Default)]
pub(super) struct H1Unread {
    remaining: Mutex<Remaining>,
    /// With the app, as long as the head of the response may take, if there's such a limit.
    timeout: Mutex<LazyTimeout>,
}

#[derive(Default)]
enum Remaining {
    /// It has been read, or is being read.
    #[default]
    Nothing,
    Body(TimedBody<Incoming>),
    /// The peer waits to be told to send it (RFC 9110 10.1.1), and wasn't.
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

    /// Has the connection whose turn it is read what's left, once its response is under way. False:
    /// that's too much, or there's no telling how much, so this response is the last.
    pub(super) fn read_in_background(&self) -> bool {
        let remaining = mem::take(&mut *lock(&self.remaining));
        match remaining {
            Remaining::Nothing => true,
            Remaining::NotRequested => false,
            Remaining::Body(body) => match body.size_hint().exact() {
                Some(length) if length > MOST => false,
                Some(_) => {
                    if let Some(task) = DiscardTask::new(body) {
                        after_poll::set_background(Box::pin(task));
                    }
                    true
                }
                // Only if all of it is there.
                None => {
                    let read =
                        Discard::new(body, MOST).read(&mut Context::from_waker(Waker::noop()));
                    read == Poll::Ready(true)
                }
            },
        }
    }
}

/// Reads a body to its end and throws it away, for so long and no longer.
struct DiscardTask {
    discard: Discard<TimedBody<Incoming>>,
    connection: Weak<ConnState>,
    worker: Arc<WorkerState>,
    timeout: LazyTimeout,
}

impl DiscardTask {
    /// None, if it's at its end.
    fn new(body: TimedBody<Incoming>) -> Option<Self> {
        let gap = body.gap.as_ref()?;
        let (worker, connection) = (Arc::clone(&gap.worker), Weak::clone(&gap.connection));
        Some(Self {
            discard: Discard::new(body, MOST),
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
                connection.cancel_linger();
            }
            return Poll::Ready(());
        }
        me.timeout.poll(LONGEST, &me.worker, cx)
    }
}
