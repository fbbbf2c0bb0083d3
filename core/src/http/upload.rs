//! The body that a peer sends with a request: counted for as long as it's read, and under a deadline.
use super::rest::Rest;
#[cfg(feature = "http2")]
use super::unread::Unread;
use crate::{
    engine::{AtDrain, ConnState, Patience, WorkerState},
    error::BoxError,
    observe::TimedOut,
};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

/// What a peer sends: not nothing. Whoever waits for it too long gets an error.
pub(super) struct Upload {
    /// None, once it's dropped.
    body: Option<Incoming>,
    gap: Option<Gap>,
    /// The peer has been asked for it, if it waits to be asked.
    is_asked_for: bool,
    /// HTTP/1: where it's left, if nobody reads it to its end.
    rest: Option<Arc<Rest>>,
    /// HTTP/2: the same.
    #[cfg(feature = "http2")]
    unread: Option<Arc<Unread>>,
}

impl Upload {
    pub(super) fn new(body: Incoming, connection: &Arc<ConnState>) -> Self {
        let gap = Some(Gap::new(connection));
        Self {
            body: Some(body),
            gap,
            is_asked_for: true,
            rest: None,
            #[cfg(feature = "http2")]
            unread: None,
        }
    }

    /// A body that goes there, if nobody reads it to its end. `waits`: the peer waits to be asked for it.
    pub(super) fn or_rest(mut self, rest: Arc<Rest>, waits: bool) -> Self {
        self.rest = Some(rest);
        self.is_asked_for = !waits;
        self
    }

    /// Whose peer sends it; none, if it's at its end.
    pub(super) fn whose(&self) -> Option<(Arc<WorkerState>, Weak<ConnState>)> {
        let gap = self.gap.as_ref()?;
        Some((Arc::clone(&gap.worker), Weak::clone(&gap.connection)))
    }

    /// A body that goes there, if nobody reads it to its end.
    #[cfg(feature = "http2")]
    pub(super) fn or_leave(mut self, unread: Arc<Unread>) -> Self {
        self.unread = Some(unread);
        self
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(gap), Some(body)) = (&self.gap, self.body.take())
            && !body.is_end_stream()
            && let Some(connection) = gap.connection.upgrade()
        {
            connection.linger_at_close();
            // Whose peer has sent nothing for too long already, isn't waited for.
            if gap.is_over {
                return;
            }
            #[cfg(feature = "http2")]
            if let Some(unread) = &self.unread {
                return unread.leave(body, &connection);
            }
            match self.rest.take() {
                // Its request is over, and nobody would look there.
                Some(rest) if Arc::strong_count(&rest) == 1 => {}
                Some(rest) if self.is_asked_for => rest.leave(Self {
                    body: Some(body),
                    gap: self.gap.take(),
                    is_asked_for: true,
                    rest: None,
                    #[cfg(feature = "http2")]
                    unread: None,
                }),
                Some(rest) => rest.leave_unasked(),
                None => {}
            }
        }
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self {
            body: Some(body),
            gap,
            is_asked_for,
            ..
        } = &mut *self
        else {
            return Poll::Ready(None);
        };
        *is_asked_for = true;
        // Hyper keeps the end of a body to itself until the next request, if it comes after the response.
        if gap.is_none() && body.is_end_stream() {
            return Poll::Ready(None);
        }
        // Told once: an app that goes on after an error would go on for ever.
        if gap.as_ref().is_some_and(|gap| gap.is_over) {
            return Poll::Ready(None);
        }
        match (Pin::new(&mut *body).poll_frame(cx), &mut *gap) {
            // It goes on to count as being read: what follows on the connection is this body still.
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
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

/// A body that's being read: how long the app has been waiting for the peer.
///
/// It doesn't keep the connection open: an app may keep a body for as long as it likes.
struct Gap {
    worker: Arc<WorkerState>,
    connection: Weak<ConnState>,
    waiting: Patience,
    at_drain: AtDrain,
    /// The app has been told.
    is_over: bool,
}

impl Gap {
    fn new(connection: &Arc<ConnState>) -> Self {
        connection.begin_reading();
        Self {
            worker: Arc::clone(&connection.worker),
            connection: Arc::downgrade(connection),
            waiting: Patience::default(),
            at_drain: AtDrain::default(),
            is_over: false,
        }
    }

    /// The peer sends more than is read.
    fn note_unread(&self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.linger_at_close();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let worker = &self.worker;
        self.at_drain.register(worker, cx);
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
                connection.set_stalled();
            }
        }
        let what = match drained {
            true => "the peer sent nothing of the request's body, and the server is draining".to_owned(),
            false => format!("the peer sent nothing of the request's body for {timeout:?}"),
        };
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

impl Drop for Gap {
    fn drop(&mut self) {
        self.at_drain.leave(&self.worker);
        if let Some(connection) = self.connection.upgrade() {
            connection.end_reading();
        }
    }
}
