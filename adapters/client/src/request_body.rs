//! The body of a request as hyper gets it.
use anyport_core::error::BoxError;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// A body that a request can have: any `http_body::Body` that is `Unpin`, whose data is `Send`. Box
/// and pin one that is not `Unpin`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a request",
    label = "this needs an `http_body::Body` that is `Unpin`",
    note = "`anyport::Body` is one: `Body::from(\"text\")`, or `Body::new(body)` for any other body"
)]
pub trait ClientBody: Body<Data: Send, Error: Into<BoxError>> + Unpin + 'static {}

impl<B: Body<Data: Send, Error: Into<BoxError>> + Unpin + 'static> ClientBody for B {}

/// The body of a request as hyper gets it. Without one, a request can be sent again,
/// whatever the type of its body.
#[derive(Debug)]
pub struct RequestBody<B>(Option<B>);

impl<B: Body> RequestBody<B> {
    pub(crate) fn new(body: B) -> Self {
        Self(Some(body).filter(|body| !body.is_end_stream()))
    }

    pub(crate) fn empty() -> Self {
        Self(None)
    }
}

impl<B: Body + Unpin> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
