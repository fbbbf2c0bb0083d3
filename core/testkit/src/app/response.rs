//! `/response/STATUS/DECLARED/SENT/KIND`: responses whose parts the test chooses, valid or not.
use crate::app::{DELIBERATE, script::pattern, state::State};
use anyport_core::{Body, error::BoxError};
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

/// The first frame of a response that fails later.
pub(crate) const FIRST_FRAME: &[u8] = b"begun";

/// Responds with this status, a `Content-Length` of `DECLARED` (none if it is `-`), and a body of
/// `SENT` bytes. The length of the body is known (`sized`) or unknown (`stream`).
pub(crate) fn custom(path: &str) -> Response<Body> {
    let mut parts = path.split('/').skip(2);
    let mut next = || parts.next().expect("a path has all parts");
    let (status, declared, sent, kind) = (next(), next(), next(), next());
    let bytes = Bytes::from(pattern(sent.parse().expect("a number of bytes")));
    let mut response = Response::new(match kind {
        "sized" => Body::from(bytes),
        _ => Body::new(Unsized(Some(bytes))),
    });
    *response.status_mut() = status.parse().expect("a status");
    if declared != "-" {
        let declared = declared.parse().expect("a header's value");
        response.headers_mut().insert(CONTENT_LENGTH, declared);
    }
    response
}

/// Sends one frame, and fails once the test releases it; the frame has been sent by then.
pub(crate) fn fails_later(state: Arc<State>, panics: bool) -> Response<Body> {
    let begun = stream::once(async { Ok(Frame::data(Bytes::from_static(FIRST_FRAME))) });
    let failure = stream::once(async move {
        state.wait_for_release().await;
        assert!(!panics, "{DELIBERATE} in the body");
        Err::<Frame<Bytes>, BoxError>("a mistake in the body".into())
    });
    Response::new(Body::new(StreamBody::new(begun.chain(failure))))
}

/// One frame of unknown length.
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
