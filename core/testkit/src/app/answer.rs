//! `/answer/STATUS/CLAIMED/SENT/KIND`: responses with the status, length and body that a test
//! requests, right or wrong.
use crate::app::{DELIBERATE, script::pattern, state::State};
use anyport_core::{Body, BoxError};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body as HttpBody, Frame};
use http_body_util::StreamBody;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What a response begins with that fails later.
pub(crate) const BEGUN: &[u8] = b"begun";

/// With this status; a `Content-Length` of `CLAIMED`, unless that's `-`; a body of so many bytes,
/// whose length is known (`sized`), or not (`stream`).
pub(crate) fn answer(path: &str) -> Response<Body> {
    let mut parts = path.split('/').skip(2);
    let mut next = || parts.next().expect("a path has all parts");
    let (status, claimed, sent, kind) = (next(), next(), next(), next());
    let bytes = Bytes::from(pattern(sent.parse().expect("a number of bytes")));
    let mut response = Response::new(match kind {
        "sized" => Body::from(bytes),
        _ => Body::new(Unsized(Some(bytes))),
    });
    *response.status_mut() = status.parse().expect("a status");
    if claimed != "-" {
        let claimed = claimed.parse().expect("a header's value");
        response.headers_mut().insert(CONTENT_LENGTH, claimed);
    }
    response
}

/// A frame, and a failure when it's released: by then, the frame has been sent.
pub(crate) fn fails_later(state: Arc<State>, panics: bool) -> Response<Body> {
    let begun = stream::once(async { Ok(Frame::data(Bytes::from_static(BEGUN))) });
    let failure = stream::once(async move {
        state.wait_for_release().await;
        assert!(!panics, "{DELIBERATE} in the body");
        Err::<Frame<Bytes>, BoxError>("a mistake in the body".into())
    });
    Response::new(Body::new(StreamBody::new(begun.chain(failure))))
}

/// One frame, of which nothing is known before.
struct Unsized(Option<Bytes>);

impl HttpBody for Unsized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
