//! `/answer/STATUS/CLAIMED/SENT/KIND`: responses that are what a test wants, right or wrong.
use crate::script::pattern;
use anyport_core::Body;
use bytes::Bytes;
use http::{Response, header::CONTENT_LENGTH};
use http_body::{Body as HttpBody, Frame};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// With this status; a `Content-Length` of `CLAIMED`, unless that's `-`; a body of so many bytes, whose length is known (`sized`), or not (`stream`).
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
