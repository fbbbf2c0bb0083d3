//! The body of a response, as hyper gets it: the app's, or one line of the server's own.
use super::{
    content::{Content, Wrong},
    request_context::RequestContext,
    streams::{asked_for_more, gave_a_frame},
};
use crate::{
    app::{Piece, ResponseBody},
    error::BoxError,
    runtime::panics,
};
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
        // Hyper drops the body when it has been written. Then an HTTP/1 connection may be idle.
        context: RequestContext,
    }
}

pin_project_lite::pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        App {
            #[pin]
            body: B,
        },
        // Boxed, because it is rare, and a reply is moved often.
        Special {
            special: Pin<Box<Special<B>>>,
        },
    }
}

pin_project_lite::pin_project! {
    #[project = SpecialProj]
    enum Special<B> {
        // A body of the app that must be as long as announced, with the number of bytes still to
        // come.
        Announced {
            #[pin]
            body: B,
            left: u64,
        },
        Server {
            text: &'static str,
        },
    }
}

/// The announced length is wrong.
const TOO_LONG: Wrong = "a response's body was longer than its Content-Length, and was cut short";
const TOO_SHORT: Wrong = "a response's body was shorter than its Content-Length: its connection, or its stream, ended there";

impl<B> Reply<B> {
    pub(super) fn app(body: B, context: RequestContext) -> Self {
        Self {
            kind: Kind::App { body },
            context,
        }
    }

    /// Sends as much of the app's body as `content` requires.
    pub(super) fn limited(body: B, content: Content, context: RequestContext) -> Self {
        match content {
            Content::Whole => Self::app(body, context),
            Content::Announced(left) => Self::special(Special::Announced { body, left }, context),
            Content::None => Self::special(Special::Server { text: "" }, context),
        }
    }

    pub(super) fn server(text: &'static str, content: Content, context: RequestContext) -> Self {
        let text = if content == Content::None { "" } else { text };
        Self::special(Special::Server { text }, context)
    }

    fn special(special: Special<B>, context: RequestContext) -> Self {
        let special = Box::pin(special);
        Self {
            kind: Kind::Special { special },
            context,
        }
    }
}

/// The result of polling a body for a frame.
type Polled<D> = Poll<Option<Result<Frame<Piece<D>>, BoxError>>>;

/// Returns an error as soon as the body's length differs from the announced one.
#[inline(never)]
fn poll_special<B: ResponseBody>(
    special: Pin<&mut Special<B>>,
    context: &RequestContext,
    cx: &mut Context<'_>,
) -> Polled<B::Data> {
    let (body, left) = match special.project() {
        SpecialProj::Announced { body, left } => (body, left),
        SpecialProj::Server { text } => {
            return match std::mem::take(text) {
                "" => Poll::Ready(None),
                text => Poll::Ready(Some(Ok(Frame::data(Piece::Server(text.as_bytes()))))),
            };
        }
    };
    let frame = match poll_app(body, context, cx) {
        Poll::Ready(Some(Ok(frame))) => Some(frame),
        Poll::Ready(None) => None,
        error_or_pending => return error_or_pending,
    };
    let wrong = match frame.as_ref().map(Frame::data_ref) {
        Some(Some(data)) => match left.checked_sub(data.remaining() as u64) {
            Some(rest) => {
                *left = rest;
                None
            }
            None => Some(TOO_LONG),
        },
        // The end, or trailers, which come after the content.
        Some(None) | None => (*left > 0).then_some(TOO_SHORT),
    };
    match wrong {
        Some(wrong) => {
            context.wrong(wrong);
            Poll::Ready(Some(Err(wrong.into())))
        }
        None => Poll::Ready(frame.map(Ok)),
    }
}

#[inline(always)]
fn poll_app<B: ResponseBody>(
    body: Pin<&mut B>,
    context: &RequestContext,
    cx: &mut Context<'_>,
) -> Polled<B::Data> {
    match panics::catch(|| body.poll_frame(cx)) {
        Ok(Poll::Ready(Some(Ok(frame)))) => {
            if context.is_stream() {
                gave_a_frame();
            }
            Poll::Ready(Some(Ok(frame.map_data(Piece::App))))
        }
        Ok(Poll::Ready(Some(Err(error)))) => Poll::Ready(Some(Err(error.into()))),
        Ok(Poll::Ready(None)) => Poll::Ready(None),
        Ok(Poll::Pending) => Poll::Pending,
        // Hyper does not poll the body again, and cuts the response short.
        Err(panic) => {
            context.panicked(&panic);
            Poll::Ready(Some(Err(
                format!("the response body panicked: {panic}").into()
            )))
        }
    }
}

impl<B: ResponseBody> HttpBody for Reply<B> {
    type Data = Piece<B::Data>;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<B::Data> {
        let me = self.project();
        if me.context.is_stream() {
            asked_for_more();
        }
        match me.kind.project() {
            KindProj::App { body } => poll_app(body, me.context, cx),
            KindProj::Special { special } => poll_special(special.as_mut(), me.context, cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::App { body } => body.is_end_stream(),
            Kind::Special { special } => match &**special {
                Special::Announced { body, left } => body.is_end_stream() && *left == 0,
                Special::Server { text } => text.is_empty(),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::App { body } => body.size_hint(),
            Kind::Special { special } => match &**special {
                Special::Announced { body, .. } => body.size_hint(),
                Special::Server { text } => SizeHint::with_exact(text.len() as u64),
            },
        }
    }
}

impl<B> fmt::Debug for Reply<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}
