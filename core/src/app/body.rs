//! The body of a request, and the wrapper around the body of a response.
use crate::error::BoxError;
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

/// The body of a request. It can also be the body of a response.
///
/// It is a stream of `Bytes` frames (`http_body::Body`), which `http_body_util::BodyExt::collect`
/// gathers. In a test, make a body from bytes, a string, nothing ([`empty`](Self::empty)) or
/// another body ([`new`](Self::new)).
///
/// ```
/// # use anyport_core::Body;
/// # use http::Request;
/// let request = Request::post("/").body(Body::from("hello")).unwrap();
/// ```
///
/// # Errors
///
/// A frame is an error if the peer disconnected, broke the framing or exceeded a timeout.
pub struct Body(Kind);

/// A request is moved several times before the app has it, usually without a body. So this type is
/// no larger than its bytes, and a streaming body is boxed.
enum Kind {
    Full(Bytes),
    /// `None` is the empty body.
    Other(Option<Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>>),
}

impl Body {
    /// An empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self(Kind::Other(None))
    }

    /// Boxes another body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Other(Some(Box::pin(MapErr { body }))))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Full(bytes.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Other(None) => Poll::Ready(None),
            Kind::Other(Some(body)) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Other(body) => body.as_ref().is_none_or(|body| body.is_end_stream()),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Other(None) => SizeHint::with_exact(0),
            Kind::Other(Some(body)) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("size", &self.size_hint())
            .finish()
    }
}

pin_project_lite::pin_project! {
    struct MapErr<B> {
        #[pin]
        body: B,
    }
}

impl<B: HttpBody<Error: Into<BoxError>>> HttpBody for MapErr<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        self.project().body.poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A piece of a response body.
#[derive(Debug)]
pub enum Piece<D> {
    /// The data comes from the app's body.
    App(D),
    /// The data is a text of the server.
    Server(&'static [u8]),
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::App(data) => data.remaining(),
            Self::Server(text) => text.len(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::App(data) => data.chunk(),
            Self::Server(text) => text,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [io::IoSlice<'a>]) -> usize {
        match self {
            Self::App(data) => data.chunks_vectored(slices),
            Self::Server(text) => text.chunks_vectored(slices),
        }
    }

    fn advance(&mut self, n: usize) {
        match self {
            Self::App(data) => data.advance(n),
            Self::Server(text) => text.advance(n),
        }
    }

    fn copy_to_bytes(&mut self, n: usize) -> Bytes {
        match self {
            Self::App(data) => data.copy_to_bytes(n),
            Self::Server(text) => text.copy_to_bytes(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};

    #[tokio::test]
    async fn body_returns_the_bytes_it_was_made_from() {
        for body in [
            Body::from("hello"),
            Body::new(Full::new(Bytes::from("hello"))),
        ] {
            assert_eq!(body.size_hint().exact(), Some(5));
            assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        }
        assert!(Body::empty().is_end_stream());
        assert_eq!(Body::from("").collect().await.unwrap().to_bytes(), "");
    }
    /// Copying a value of more than 256 bytes costs 50 % more.
    #[test]
    fn request_stays_within_256_bytes() {
        assert!(size_of::<http::Request<Body>>() <= 256);
    }
}
