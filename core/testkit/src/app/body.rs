//! Response bodies that fail, stall or never end.
use super::{DELIBERATE, state::PendingRequest};
use anyport_core::error::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame};
use std::{
    pin::Pin,
    task::{Context, Poll},
    thread,
};

/// A response body that fails, stalls or never ends.
pub(super) enum TestBody {
    /// Frames of 16 KiB, without end.
    Endless,
    /// One frame, then a panic or an error.
    Failing { begun: bool, panics: bool },
    /// One frame; the destructor panics.
    Panicking(bool),
    /// One frame, then `Pending` for ever.
    Stalling {
        begun: bool,
        _pending: PendingRequest,
    },
    /// Frames of equal length until all bytes are sent.
    Chunks { left: Bytes, each: usize },
}

impl TestBody {
    pub(super) fn failing(panics: bool) -> Self {
        Self::Failing {
            begun: false,
            panics,
        }
    }
}

impl Drop for TestBody {
    fn drop(&mut self) {
        if matches!(self, Self::Panicking(_)) && !thread::panicking() {
            panic!("{DELIBERATE} in the drop of a body");
        }
    }
}

impl Body for TestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(match &mut *self {
            Self::Panicking(true) => return Poll::Ready(None),
            Self::Panicking(begun) => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Stalling { begun: true, .. } => return Poll::Pending,
            Self::Stalling { begun, .. } => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Chunks { left, .. } if left.is_empty() => return Poll::Ready(None),
            Self::Chunks { left, each } => Ok(Frame::data(left.split_to(*each))),
            Self::Endless => Ok(Frame::data(Bytes::from_static(&[b'x'; 16 * 1024]))),
            Self::Failing {
                begun: begun @ false,
                ..
            } => {
                *begun = true;
                Ok(Frame::data(Bytes::from_static(b"begun")))
            }
            Self::Failing { panics: true, .. } => panic!("{DELIBERATE} in the body"),
            Self::Failing { panics: false, .. } => Err("a mistake in the body".into()),
        }))
    }
}
