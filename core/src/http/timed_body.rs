//! A request's body under the timeout for gaps.
use crate::{
    engine::{AtDrain, ConnState, LazyTimeout, WorkerState},
    error::BoxError,
    observe::TimedOut,
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

/// A request's body. Waiting for the client for too long is an error.
pub(super) struct TimedBody<B> {
    pub(super) body: B,
    /// `None`: the body is at its end.
    pub(super) gap: Option<Gap>,
}

impl<B> TimedBody<B> {
    pub(super) fn new(body: B, connection: &Arc<ConnState>) -> Self {
        let gap = Some(Gap::new(connection));
        Self { body, gap }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, gap } = &mut *self;
        // Hyper delivers the end of a body with the next request, if that end arrives after the
        // response.
        if gap.is_none() && body.is_end_stream() {
            return Poll::Ready(None);
        }
        // The error is returned once. An app that ignores errors would otherwise loop for ever.
        if gap.as_ref().is_some_and(|gap| gap.is_over) {
            return Poll::Ready(None);
        }
        match (Pin::new(&mut *body).poll_frame(cx), &mut *gap) {
            // The body still counts as being read, because the next bytes on the connection belong
            // to it.
            (Poll::Pending, Some(waiting)) => waiting.poll(cx).map(|error| Some(Err(error.into()))),
            (Poll::Pending, None) => Poll::Pending,
            (Poll::Ready(Some(Ok(frame))), waiting) => {
                if body.is_end_stream() {
                    *gap = None;
                } else if let Some(waiting) = waiting {
                    waiting.waiting.reset();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            (Poll::Ready(end), _) => {
                if let (Some(Err(_)), Some(gap)) = (&end, &*gap) {
                    gap.note_unread();
                }
                *gap = None;
                Poll::Ready(end.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How long the app has been waiting for the next bytes of a body.
///
/// The reference is weak: an app may keep a body without keeping the connection open.
pub(super) struct Gap {
    pub(super) worker: Arc<WorkerState>,
    pub(super) connection: Weak<ConnState>,
    waiting: LazyTimeout,
    at_drain: AtDrain,
    /// The app has received the error.
    pub(super) is_over: bool,
}

impl Gap {
    fn new(connection: &Arc<ConnState>) -> Self {
        connection.begin_reading();
        Self {
            worker: Arc::clone(&connection.worker),
            connection: Arc::downgrade(connection),
            waiting: LazyTimeout::default(),
            at_drain: AtDrain::default(),
            is_over: false,
        }
    }

    /// The client sends more than is read.
    fn note_unread(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.flags.linger_at_close();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let worker = &self.worker;
        self.at_drain.register(worker.drain_waiters(), cx);
        let timeout = worker.timeouts().body_gap;
        let mut drained = false;
        ready!(self.waiting.poll_until(worker, cx, |since| {
            let (end, by_drain) = worker.end_of_wait(since, timeout);
            drained = by_drain;
            end
        }));
        self.is_over = true;
        if let Some(connection) = self.connection.upgrade() {
            connection.timed_out(TimedOut::BodyGap);
            if drained {
                connection.flags.set_stalled();
            }
        }
        let what = match drained {
            true => {
                "the peer sent nothing of the request's body, and the server is draining".to_owned()
            }
            false => format!("the peer sent nothing of the request's body for {timeout:?}"),
        };
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

impl Drop for Gap {
    fn drop(&mut self) {
        self.at_drain.leave(self.worker.drain_waiters());
        if let Some(connection) = self.connection.upgrade() {
            connection.end_reading();
        }
    }
}
