//! The body of a response.
use crate::{
    Error,
    connection::{ConnState, Timeout},
    deadline::{Deadline, earlier},
    error::ErrorKind,
    request::Stream,
};
use anyport_core::runtime::SharedTimer;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// The body of a response: frames of `Bytes`, as they come.
///
/// The connection is free for another request when the body has been read to its end. Dropping it
/// earlier closes an HTTP/1.1 connection, unless the rest has come already, and resets a stream of
/// HTTP/2.
///
/// # Errors
///
/// An [`Error`] ends the body: the connection has failed, or a timeout has passed.
pub struct ResponseBody {
    incoming: Incoming,
    conn_state: Arc<ConnState>,
    /// HTTP/2.
    stream: Option<Stream>,
    timeouts: Option<Box<Timeouts>>,
}

struct Timeouts {
    timer: SharedTimer,
    /// The timeout of a gap.
    gap: Duration,
    whole: Duration,
    /// The end of `whole`.
    end: Option<Instant>,
    /// The end of the current gap.
    gap_end: Option<Instant>,
    timeout: Timeout<Arc<ConnState>>,
}

impl ResponseBody {
    #[inline]
    pub(crate) fn new(
        incoming: Incoming,
        conn_state: Arc<ConnState>,
        stream: Option<Stream>,
        timer: &SharedTimer,
        gap: Duration,
        whole: &Deadline,
    ) -> Self {
        let has_more = !incoming.is_end_stream();
        let is_limited = gap < Duration::MAX || whole.end.is_some();
        let timeouts = (has_more && is_limited).then(|| {
            Box::new(Timeouts {
                timer: timer.clone(),
                gap,
                whole: whole.limit,
                end: whole.end,
                gap_end: None,
                timeout: Timeout::new(Arc::clone(&conn_state)),
            })
        });
        Self {
            incoming,
            conn_state,
            stream: stream.filter(|_| has_more),
            timeouts,
        }
    }
}

impl Timeouts {
    /// Ready with the timeout that has passed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(ErrorKind, Duration)> {
        if self.gap_end.is_none() {
            self.gap_end = self.timer.now().checked_add(self.gap);
        }
        let end = earlier(self.gap_end, self.end);
        ready!(self.timeout.poll(end, cx));
        Poll::Ready(match (self.end, self.gap_end) {
            (Some(end), gap_end) if gap_end.is_none_or(|gap_end| end <= gap_end) => {
                (ErrorKind::Timeout, self.whole)
            }
            _ => (ErrorKind::BodyTimeout, self.gap),
        })
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let frame = match Pin::new(&mut this.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let Some(timeouts) = &mut this.timeouts else {
                    return Poll::Pending;
                };
                let Poll::Ready((kind, limit)) = timeouts.poll(cx) else {
                    return Poll::Pending;
                };
                this.timeouts = None;
                let error = Error::timeout(kind, &this.conn_state.facts.origin, limit);
                return Poll::Ready(Some(Err(error)));
            }
        };
        if let Some(timeouts) = &mut this.timeouts {
            timeouts.gap_end = None;
        }
        if this.stream.is_some() && (!matches!(frame, Some(Ok(_))) || this.incoming.is_end_stream())
        {
            this.stream = None;
        }
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => Some(Err(Error::http(&this.conn_state.facts.origin, error))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("origin", &self.conn_state.facts.origin)
            .field("size", &self.size_hint())
            .finish_non_exhaustive()
    }
}
