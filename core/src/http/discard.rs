//! A body that nobody reads any more: it's read to its end and thrown away, as far as that's worth
//! it.
use bytes::Bytes;
use http_body::Body;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What's left of a body.
pub(super) struct Discard<B> {
    body: B,
    /// How much more of it is read.
    left: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Discard<B> {
    /// At most so many bytes of it are read.
    pub(super) fn new(body: B, most: u64) -> Self {
        Self { body, left: most }
    }

    /// How much more of it is read.
    #[cfg(feature = "http2")]
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Reads what's there; that makes room for more. Ready when no more is read: whether that was
    /// its end.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(false),
                None => return Poll::Ready(true),
            };
            let length = frame.data_ref().map_or(0, Bytes::len);
            match self.left.checked_sub(length as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(false),
            }
        }
    }
}
