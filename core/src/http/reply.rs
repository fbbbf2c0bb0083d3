//! The body of a response, as hyper gets it: the app's, or a few words of the server's own.
use super::{
    content::{Content, Wrong},
    owner::Owner,
    streams::{asked_for_more, gave_a_frame},
};
use crate::{BoxError, ResponseBody, body::Piece, engine::panics};
use bytes::Buf;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project_lite::pin_project! {
    /// The body of a response, as hyper gets it.
    pub struct Reply<B> {
        #[pin]
        kind: Kind<B>,
        // How much of what was announced is still to come, or `UNKNOWN`.
        left: u64,
        // Hyper drops the body when it has been written: then an HTTP/1 connection may be idle.
        owner: Owner,
    }
}

pin_project_lite::pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        App {
            #[pin]
            body: B,
        },
        Server {
            text: &'static str,
        },
    }
}

/// Nothing was announced that the body itself doesn't tell.
const UNKNOWN: u64 = u64::MAX;

/// The announced length is wrong.
const TOO_LONG: Wrong = "a response's body was longer than its Content-Length, and was cut short";
const TOO_SHORT: Wrong =
    "a response's body was shorter than its Content-Length: its connection, or its stream, ended there";

impl<B> Reply<B> {
    pub(super) fn app(body: B, content: Content, owner: Owner) -> Self {
        let (kind, left) = match content {
            Content::Whole => (Kind::App { body }, UNKNOWN),
            Content::Announced(length) => (Kind::App { body }, length),
            Content::None => (Kind::Server { text: "" }, UNKNOWN),
        };
        Self { kind, left, owner }
    }

    pub(super) fn server(text: &'static str, content: Content, owner: Owner) -> Self {
        let text = if content == Content::None { "" } else { text };
        Self {
            kind: Kind::Server { text },
            left: UNKNOWN,
            owner,
        }
    }
}

/// Counts what's left of what was announced.
#[cold]
fn count<D: Buf>(left: &mut u64, frame: Option<&Frame<D>>) -> Result<(), Wrong> {
    match frame.map(Frame::data_ref) {
        Some(Some(data)) => {
            *left = left.checked_sub(data.remaining() as u64).ok_or(TOO_LONG)?;
            Ok(())
        }
        // The end, or trailers, which are part of it.
        Some(None) | None if *left > 0 => Err(TOO_SHORT),
        Some(None) | None => Ok(()),
    }
}

impl<B: ResponseBody> HttpBody for Reply<B> {
    type Data = Piece<B::Data>;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let me = self.project();
        let is_stream = me.owner.is_stream();
        if is_stream {
            asked_for_more();
        }
        match me.kind.project() {
            KindProj::App { body } => match panics::catch(|| body.poll_frame(cx)) {
                Ok(Poll::Ready(frame)) if *me.left != UNKNOWN && !matches!(frame, Some(Err(_))) => {
                    let frame = frame.and_then(Result::ok);
                    if let Err(wrong) = count(me.left, frame.as_ref()) {
                        me.owner.wrong(wrong);
                        return Poll::Ready(Some(Err(wrong.into())));
                    }
                    if is_stream && frame.is_some() {
                        gave_a_frame();
                    }
                    Poll::Ready(frame.map(|frame| Ok(frame.map_data(Piece::App))))
                }
                Ok(Poll::Ready(Some(Ok(frame)))) => {
                    if is_stream {
                        gave_a_frame();
                    }
                    Poll::Ready(Some(Ok(frame.map_data(Piece::App))))
                }
                Ok(Poll::Ready(Some(Err(error)))) => Poll::Ready(Some(Err(error.into()))),
                Ok(Poll::Ready(None)) => Poll::Ready(None),
                Ok(Poll::Pending) => Poll::Pending,
                // Hyper doesn't poll it again, but cuts the response short.
                Err(panic) => {
                    me.owner.panicked(&panic);
                    Poll::Ready(Some(Err(format!("the response body panicked: {panic}").into())))
                }
            },
            KindProj::Server { text } => match std::mem::take(text) {
                "" => Poll::Ready(None),
                text => Poll::Ready(Some(Ok(Frame::data(Piece::Server(text.as_bytes()))))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::App { body } => body.is_end_stream(),
            Kind::Server { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::App { body } => body.size_hint(),
            Kind::Server { text } => SizeHint::with_exact(text.len() as u64),
        }
    }
}

impl<B> fmt::Debug for Reply<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
