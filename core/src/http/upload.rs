//! A request's body in HTTP/1 or HTTP/2, and where it goes if the app does not read it to the end.
#[cfg(feature = "http2")]
use super::h2_unread::Unread;
use super::{h1_unread::H1Unread, timed_body::TimedBody};
use crate::{engine::ConnState, error::BoxError};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A request's body that is not empty.
pub(super) struct Upload {
    /// `None`: the body has been dropped.
    body: Option<TimedBody<Incoming>>,
    /// The client need not wait for `100 Continue` before it sends the body.
    is_asked_for: bool,
    /// HTTP/1: where the body goes if it is dropped before its end.
    h1_unread: Option<Arc<H1Unread>>,
    /// HTTP/2: where the body goes if it is dropped before its end.
    #[cfg(feature = "http2")]
    unread: Option<Arc<Unread>>,
}

impl Upload {
    pub(super) fn new(body: Incoming, connection: &Arc<ConnState>) -> Self {
        Self {
            body: Some(TimedBody::new(body, connection)),
            is_asked_for: true,
            h1_unread: None,
            #[cfg(feature = "http2")]
            unread: None,
        }
    }

    /// Sets where the body goes if it is dropped before its end. `waits`: the client waits for `100
    /// Continue`.
    pub(super) fn or_h1_unread(mut self, h1_unread: Arc<H1Unread>, waits: bool) -> Self {
        self.h1_unread = Some(h1_unread);
        self.is_asked_for = !waits;
        self
    }

    /// Sets where the body goes if it is dropped before its end.
    #[cfg(feature = "http2")]
    pub(super) fn or_leave(mut self, unread: Arc<Unread>) -> Self {
        self.unread = Some(unread);
        self
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && let Some(gap) = &body.gap
            && !body.is_end_stream()
            && let Some(connection) = gap.connection.upgrade()
        {
            connection.flags.linger_at_close();
            // The client has sent nothing for too long already.
            if gap.is_over {
                return;
            }
            #[cfg(feature = "http2")]
            if let Some(unread) = &self.unread {
                return unread.store(body.body, &connection);
            }
            match self.h1_unread.take() {
                // The request has ended, so no task would read the body.
                Some(h1_unread) if Arc::strong_count(&h1_unread) == 1 => {}
                Some(h1_unread) if self.is_asked_for => h1_unread.store(body),
                Some(h1_unread) => h1_unread.store_unrequested(),
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
            is_asked_for,
            ..
        } = &mut *self
        else {
            return Poll::Ready(None);
        };
        *is_asked_for = true;
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(HttpBody::size_hint)
            .unwrap_or_default()
    }
}
