//! Reads a body that the app has dropped to its end, up to a limit, and discards it.
use bytes::Bytes;
use http_body::Body;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The rest of a body.
pub(super) struct Discard<B> {
    body: B,
    /// How many more bytes are read at most.
    left: u64,
}

impl<B: Body<Data = Bytes> + Unpin> Discard<B> {
    /// Reads at most `most` bytes.
    pub(super) fn new(body: B, most: u64) -> Self {
        Self { body, left: most }
    }

    /// How many more bytes are read at most.
    #[cfg(feature = "http2")]
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Discards the bytes that are there. Ready when nothing more is read; `true`: the body's end
    /// was reached.
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
