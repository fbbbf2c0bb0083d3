//! The future of a response: from the app, or from the server in the app's place.
use super::{
    Reply,
    content::{self, Content},
    refusal::Refusal,
    request_context::RequestContext,
};
use crate::{
    app::{Body, HttpResponse, HttpService, ResponseBody},
    runtime::panics,
};
use http::{HeaderValue, Request, Response, Version, header::CONNECTION, response};
use hyper::body::SizeHint;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

pin_project_lite::pin_project! {
    /// The future of one response. It never fails: an error or a panic of the app becomes a
    /// response.
    pub struct Call<S: HttpService> {
        #[pin]
        step: CallState<S, S::Fut>,
        context: Option<RequestContext>,
    }
}

pin_project_lite::pin_project! {
    /// The stages of a request on its way to the app.
    #[project = CallStateProj]
    pub(super) enum CallState<S, F> {
        // Boxed, because this state is large and rare, and a call is moved before it is polled.
        NotReady {
            pending: Box<PendingCall<S>>,
        },
        Running {
            #[pin]
            future: F,
        },
        Refused {
            refusal: Refusal,
        },
        Over,
    }
}

/// A service that is not ready, and the request for it.
pub(super) struct PendingCall<S> {
    service: S,
    request: Option<Request<Body>>,
}

impl<S: HttpService> CallState<S, S::Fut> {
    /// Most services are always ready. They get the request at once, so that it need not be moved
    /// into a future. Other services are polled again within a task, which they can wake.
    pub(super) fn begin(mut service: S, request: Request<Body>) -> Self {
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Self::Running {
                future: service.call(request),
            },
            Poll::Ready(Err(_)) => Self::Refused {
                refusal: Refusal::NotReady,
            },
            Poll::Pending => Self::NotReady {
                pending: Box::new(PendingCall {
                    service,
                    request: Some(request),
                }),
            },
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal }
    }

    /// Polls a service that was not ready, and hands it the request when it is.
    #[cold]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let future = match self.as_mut().project() {
            CallStateProj::NotReady { pending } => match ready!(pending.service.poll_ready(cx)) {
                Ok(()) => match pending.request.take() {
                    Some(request) => pending.service.call(request),
                    None => return Poll::Ready(Err(Refusal::Failed)),
                },
                Err(_) => return Poll::Ready(Err(Refusal::NotReady)),
            },
            CallStateProj::Refused { refusal } => {
                return Poll::Ready(Err(std::mem::replace(refusal, Refusal::Failed)));
            }
            CallStateProj::Running { .. } => return Poll::Ready(Ok(())),
            CallStateProj::Over => return Poll::Ready(Err(Refusal::Failed)),
        };
        self.set(Self::Running { future });
        Poll::Ready(Ok(()))
    }
}

/// The result of polling a call.
type Answer<B> = Poll<Result<Response<Reply<B>>, Infallible>>;

impl<S: HttpService> Call<S> {
    pub(super) fn new(step: CallState<S, S::Fut>, context: RequestContext) -> Self {
        Self {
            step,
            context: Some(context),
        }
    }

    /// Polls the app, and stores the app's response in `answer`. `Some` is the reason why there is
    /// no response. The app's future has been dropped by then.
    fn poll_app(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        answer: &mut Answer<S::ResBody>,
    ) -> Option<Refusal> {
        let mut me = self.project();
        loop {
            if let CallStateProj::Running { future } = me.step.as_mut().project() {
                let (head, body) = match future.poll(cx) {
                    Poll::Ready(Ok(response)) => response.into_http().into_parts(),
                    Poll::Ready(Err(error)) => return Some(Refusal::Err(error.into())),
                    Poll::Pending => return None,
                };
                me.step.set(CallState::Over);
                // Nearly all responses are plain, and hyper handles them correctly.
                let context = match me.context.take()? {
                    RequestContext::Minimal(answering) if content::is_plain(&head) => {
                        let close = answering.closes_connection();
                        let reply = Reply::app(body, RequestContext::Minimal(answering));
                        *answer = Poll::Ready(Ok(Response::from_parts(head, reply)));
                        if close && let Poll::Ready(Ok(response)) = answer {
                            add_connection_close(response);
                        }
                        return None;
                    }
                    context => context,
                };
                return answer_rightly(head, body, context, me.context, answer);
            }
            match me.step.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(refusal)) => return Some(refusal),
                Poll::Pending => return None,
            }
        }
    }

    /// Answers in the app's place, unless a response has been given already.
    #[cold]
    fn refuse(self: Pin<&mut Self>, refusal: &Refusal, answer: &mut Answer<S::ResBody>) {
        let mut me = self.project();
        let Some(mut context) = me.context.take() else {
            return;
        };
        if let Err(message) = panics::catch(|| me.step.set(CallState::Over)) {
            context.panicked(&message);
        }
        // A request with a wrong host may have other faults. Nothing that follows on this
        // connection is trusted.
        let close = match refusal {
            Refusal::BadRequest(_) | Refusal::NotImplemented(_) => !context.is_stream(),
            _ => context.closes_connection(),
        };
        if close {
            context.leave_unread();
        }
        let (mut head, text) = refusal.response(&context).into_parts();
        let _ = context.upgrades(head.status);
        let size = SizeHint::with_exact(text.len() as u64);
        let (content, _) =
            content::settle(&mut head, &size, context.is_head(), context.is_stream());
        let mut response = Response::from_parts(head, Reply::server(text, content, context));
        if close {
            add_connection_close(&mut response);
        }
        *answer = Poll::Ready(Ok(response));
    }
}

impl<S: HttpService> Future for Call<S> {
    type Output = Result<Response<Reply<S::ResBody>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = Poll::Pending;
        let refusal = match panics::catch(|| self.as_mut().poll_app(cx, &mut answer)) {
            Ok(None) if answer.is_ready() => None,
            Ok(None) => {
                let context = self.as_mut().project().context;
                let too_slow = context
                    .as_mut()
                    .is_some_and(|context| context.poll_timeout(cx).is_ready());
                too_slow.then_some(Refusal::TooSlow)
            }
            Ok(refusal) => refusal,
            Err(message) => {
                if let Some(context) = self.as_mut().project().context {
                    context.panicked(&message);
                }
                Some(Refusal::Failed)
            }
        };
        if let Some(refusal) = refusal {
            self.refuse(&refusal, &mut answer);
        }
        answer
    }
}

/// Answers with the app's response after correcting its head, or returns the reason why it cannot
/// be sent. Then the context goes back into `slot`.
#[inline(never)]
fn answer_rightly<B: ResponseBody>(
    mut head: response::Parts,
    body: B,
    mut context: RequestContext,
    slot: &mut Option<RequestContext>,
    answer: &mut Answer<B>,
) -> Option<Refusal> {
    let upgrades = context.upgrades(head.status);
    if head.status.is_informational() && !upgrades {
        context.wrong(
            "a response's status was 1xx, which is no final one: 500 was sent instead (RFC 9110 15.2)",
        );
        *slot = Some(context);
        return Some(Refusal::Failed);
    }
    let (mut content, mut close) = (Content::Whole, false);
    // A tunnel has no content (RFC 9110 9.3.6).
    if !upgrades {
        let size = body.size_hint();
        let (settled, wrong) =
            content::settle(&mut head, &size, context.is_head(), context.is_stream());
        if let Some(wrong) = wrong {
            context.wrong(wrong);
        }
        content = settled;
        close = context.closes_connection();
        // The body ends with the connection. Hyper announces `keep-alive` unless the response is
        // HTTP/1.0, too.
        if context.is_http10() && content == Content::Whole && size.exact().is_none() {
            head.version = Version::HTTP_10;
            context.ends_connection();
            close = true;
        }
    }
    if close {
        context.leave_unread();
    }
    let mut response = Response::from_parts(head, Reply::limited(body, content, context));
    if close {
        add_connection_close(&mut response);
    }
    *answer = Poll::Ready(Ok(response));
    None
}

/// Asks the client to make a new connection for its next request (RFC 9112 9.6).
fn add_connection_close<B>(response: &mut Response<B>) {
    // Added to the app's own options, such as `upgrade`.
    response
        .headers_mut()
        .append(CONNECTION, HeaderValue::from_static("close"));
}

impl<S: HttpService> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
