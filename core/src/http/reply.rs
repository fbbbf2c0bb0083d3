//! The body of a response, as hyper gets it: the app's, or a few words of the server's own.
use super::{
    owner::Owner,
    streams::{asked_for_more, gave_a_frame},
};
use crate::{BoxError, ResponseBody, body::Piece, engine::panics};
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

impl<B> Reply<B> {
    pub(super) fn app(body: B, owner: Owner) -> Self {
        Self {
            kind: Kind::App { body },
            owner,
        }
    }

    pub(super) fn server(text: &'static str, owner: Owner) -> Self {
        Self {
            kind: Kind::Server { text },
            owner,
        }
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
