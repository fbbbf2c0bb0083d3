//! HTTP/1: what's left of a request's body that nobody reads any more. It's read behind the
//! response, so that the next request is found, or the response says that there's to be none on
//! this connection; either way, the response isn't delayed.
use super::{after_poll, discard::Discard, timed_body::TimedBody};
use crate::{
    engine::{ConnState, Patience, WorkerState},
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
pub(super) struct Rest {
    left: Mutex<Left>,
    /// With the app, as long as the head of the response may take, if there's such a limit.
    patience: Mutex<Patience>,
}

#[derive(Default)]
enum Left {
    /// It has been read, or is being read.
    #[default]
    Nothing,
    Body(TimedBody<Incoming>),
    /// The peer waits to be told to send it (RFC 9110 10.1.1), and wasn't.
    Unasked,
}

impl Rest {
    pub(super) fn leave(&self, body: TimedBody<Incoming>) {
        *lock(&self.left) = Left::Body(body);
    }

    pub(super) fn leave_unasked(&self) {
        *lock(&self.left) = Left::Unasked;
    }

    /// Ready when the app has taken longer than `timeout`.
    pub(super) fn poll_patience(
        &self,
        timeout: Duration,
        worker: &WorkerState,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        lock(&self.patience).poll(timeout, worker, cx)
    }

    /// Has the connection whose turn it is read what's left, once its response is under way. False:
    /// that's too much, or there's no telling how much, so this response is the last.
    pub(super) fn is_read_behind(&self) -> bool {
        let left = mem::take(&mut *lock(&self.left));
        match left {
            Left::Nothing => true,
            Left::Unasked => false,
            Left::Body(body) => match body.size_hint().exact() {
                Some(length) if length > MOST => false,
                Some(_) => {
                    if let Some(behind) = Behind::new(body) {
                        after_poll::add_behind(Box::pin(behind));
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
struct Behind {
    discard: Discard<TimedBody<Incoming>>,
    connection: Weak<ConnState>,
    worker: Arc<WorkerState>,
    patience: Patience,
}

impl Behind {
    /// None, if it's at its end.
    fn new(body: TimedBody<Incoming>) -> Option<Self> {
        let gap = body.gap.as_ref()?;
        let (worker, connection) = (Arc::clone(&gap.worker), Weak::clone(&gap.connection));
        Some(Self {
            discard: Discard::new(body, MOST),
            connection,
            worker,
            patience: Patience::default(),
        })
    }
}

impl Future for Behind {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        if let Poll::Ready(is_whole) = me.discard.read(cx) {
            if let Some(connection) = me.connection.upgrade()
                && is_whole
            {
                connection.linger_no_more();
            }
            return Poll::Ready(());
        }
        me.patience.poll(LONGEST, &me.worker, cx)
    }
}
