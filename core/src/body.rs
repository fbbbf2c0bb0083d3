//! The body of a request, and what the server wraps around the body of a response.
use crate::{
    BoxError,
    engine::{ConnState, Patience, WorkerState},
    observe::TimedOut,
};
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

/// The body of a request; good as the body of a response, too.
///
/// It's a stream of `Bytes` frames (`http_body::Body`): `http_body_util::BodyExt::collect` gathers it. In a test, make one
/// of bytes, of a string, of nothing, or of any other body.
///
/// ```
/// # use anyport_core::Body;
/// # use http::Request;
/// let request = Request::post("/").body(Body::from("hello")).unwrap();
/// ```
///
/// # Errors
///
/// A frame is an error when the peer went away, broke the framing or took too long.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming {
        body: Incoming,
        gap: Option<Gap>,
    },
    Boxed(Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>),
}

impl Body {
    /// A body without a byte.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Any other body, boxed.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Kind::Boxed(Box::pin(MapErr { body })))
    }

    /// What a peer sends: not nothing. Whoever waits for it too long gets an error.
    pub(crate) fn incoming(body: Incoming, connection: &Arc<ConnState>) -> Self {
        let gap = Some(Gap::new(connection));
        Self(Kind::Incoming { body, gap })
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
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            // Hyper keeps the end of a body to itself until the next request, if it comes after the response.
            Kind::Incoming { body, gap: None } if body.is_end_stream() => Poll::Ready(None),
            Kind::Incoming { body, gap } => match (Pin::new(&mut *body).poll_frame(cx), &mut *gap) {
                // It goes on to count as being read: what follows on the connection is this body still.
                (Poll::Pending, Some(waiting)) => waiting.poll(cx).map(|error| Some(Err(error.into()))),
                (Poll::Pending, None) => Poll::Pending,
                (Poll::Ready(Some(Ok(frame))), waiting) => {
                    if body.is_end_stream() {
                        *gap = None;
                    } else if let Some(waiting) = waiting {
                        waiting.waiting.reset();
                    }
                    Poll::Ready(Some(Ok(frame)))
                }
                (Poll::Ready(end), _) => {
                    *gap = None;
                    Poll::Ready(end.map(|frame| frame.map_err(Into::into)))
                }
            },
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Incoming { body, .. } => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming { body, .. } => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("size", &self.size_hint()).finish()
    }
}

/// A body that's being read: how long the app has been waiting for the peer.
///
/// It doesn't keep the connection open: an app may keep a body for as long as it likes.
struct Gap {
    worker: Arc<WorkerState>,
    connection: Weak<ConnState>,
    waiting: Patience,
}

impl Gap {
    fn new(connection: &Arc<ConnState>) -> Self {
        connection.begin_upload();
        Self {
            worker: Arc::clone(&connection.worker),
            connection: Arc::downgrade(connection),
            waiting: Patience::default(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let timeout = self.worker.shared.config.timeouts.body_gap;
        ready!(self.waiting.poll(timeout, &self.worker, cx));
        if let Some(connection) = self.connection.upgrade() {
            connection.timed_out(TimedOut::BodyGap);
        }
        let what = format!("the peer sent nothing of the request's body for {timeout:?}");
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

impl Drop for Gap {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            connection.end_upload();
        }
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

/// A piece of a response: the app's, or the server's own text.
#[derive(Debug)]
pub enum Piece<D> {
    /// From the app's body.
    App(D),
    /// From the server.
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
    async fn a_body_gives_back_what_it_was_made_of() {
        for body in [Body::from("hello"), Body::new(Full::new(Bytes::from("hello")))] {
            assert_eq!(body.size_hint().exact(), Some(5));
            assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
        }
        assert!(Body::empty().is_end_stream());
        assert_eq!(Body::from("").collect().await.unwrap().to_bytes(), "");
    }
}
