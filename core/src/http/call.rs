//! One request's answer: by the app, or in its place.
use super::{
    Reply,
    content::{self, Content},
    owner::Owner,
    refusal::Refusal,
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
    /// The future of one response. It never fails: what the app does wrong is answered.
    pub struct Call<S: HttpService> {
        #[pin]
        step: Step<S, S::Fut>,
        owner: Option<Owner>,
    }
}

pin_project_lite::pin_project! {
    /// How far a request has come on its way to the app.
    #[project = StepProj]
    pub(super) enum Step<S, F> {
        // Boxed, since it's large and rare: a call is moved about before it's polled.
        Waiting {
            waiting: Box<Waiting<S>>,
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

/// A service that isn't ready yet, and what it's to be asked.
pub(super) struct Waiting<S> {
    service: S,
    request: Option<Request<Body>>,
}

impl<S: HttpService> Step<S, S::Fut> {
    /// Most services are always ready: they get the request at once, and it need not wait in a
    /// future that's moved about. The others are asked again when there's a task to wake.
    pub(super) fn begin(mut service: S, request: Request<Body>) -> Self {
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Self::Running {
                future: service.call(request),
            },
            Poll::Ready(Err(_)) => Self::Refused {
                refusal: Refusal::NotReady,
            },
            Poll::Pending => Self::Waiting {
                waiting: Box::new(Waiting {
                    service,
                    request: Some(request),
                }),
            },
        }
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal }
    }

    /// Asks a service that wasn't ready once more; then the request is handed to it.
    #[cold]
    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let future = match self.as_mut().project() {
            StepProj::Waiting { waiting } => match ready!(waiting.service.poll_ready(cx)) {
                Ok(()) => match waiting.request.take() {
                    Some(request) => waiting.service.call(request),
                    None => return Poll::Ready(Err(Refusal::Failed)),
                },
                Err(_) => return Poll::Ready(Err(Refusal::NotReady)),
            },
            StepProj::Refused { refusal } => {
                return Poll::Ready(Err(std::mem::replace(refusal, Refusal::Failed)));
            }
            StepProj::Running { .. } => return Poll::Ready(Ok(())),
            StepProj::Over => return Poll::Ready(Err(Refusal::Failed)),
        };
        self.set(Self::Running { future });
        Poll::Ready(Ok(()))
    }
}

/// What a call is polled to.
type Answer<B> = Poll<Result<Response<Reply<B>>, Infallible>>;

impl<S: HttpService> Call<S> {
    pub(super) fn new(step: Step<S, S::Fut>, owner: Owner) -> Self {
        Self {
            step,
            owner: Some(owner),
        }
    }

    /// The app's response as hyper gets it, or why there's none. What was left of the app's work
    /// has been dropped by then.
    fn poll_app(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        answer: &mut Answer<S::ResBody>,
    ) -> Option<Refusal> {
        let mut me = self.project();
        loop {
            if let StepProj::Running { future } = me.step.as_mut().project() {
                let (head, body) = match future.poll(cx) {
                    Poll::Ready(Ok(response)) => response.into_http().into_parts(),
                    Poll::Ready(Err(error)) => return Some(Refusal::Err(error.into())),
                    Poll::Pending => return None,
                };
                me.step.set(Step::Over);
                // What nearly all are: hyper does right by them.
                let owner = match me.owner.take()? {
                    Owner::Http1(answering) if content::is_plain(&head) => {
                        let close = answering.tells_to_leave();
                        let reply = Reply::app(body, Owner::Http1(answering));
                        *answer = Poll::Ready(Ok(Response::from_parts(head, reply)));
                        if close && let Poll::Ready(Ok(response)) = answer {
                            tell_to_leave(response);
                        }
                        return None;
                    }
                    owner => owner,
                };
                return answer_rightly(head, body, owner, me.owner, answer);
            }
            match me.step.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(refusal)) => return Some(refusal),
                Poll::Pending => return None,
            }
        }
    }

    /// The server's answer instead of the app's; none, if it has been given already.
    #[cold]
    fn refuse(self: Pin<&mut Self>, refusal: &Refusal, answer: &mut Answer<S::ResBody>) {
        let mut me = self.project();
        let Some(mut owner) = me.owner.take() else {
            return;
        };
        if let Err(message) = panics::catch(|| me.step.set(Step::Over)) {
            owner.panicked(&message);
        }
        // Who gets the host wrong may have got more wrong: what follows on this connection isn't
        // trusted.
        let close = match refusal {
            Refusal::BadRequest(_) | Refusal::NotImplemented(_) => !owner.is_stream(),
            _ => owner.tells_to_leave(),
        };
        if close {
            owner.give_up_rest();
        }
        let (mut head, text) = refusal.response(&owner).into_parts();
        let size = SizeHint::with_exact(text.len() as u64);
        let (content, _) =
            content::settle(&mut head, &size, owner.answers_head(), owner.is_stream());
        let mut response = Response::from_parts(head, Reply::server(text, content, owner));
        if close {
            tell_to_leave(&mut response);
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
                let owner = self.as_mut().project().owner;
                let too_slow = owner
                    .as_mut()
                    .is_some_and(|owner| owner.poll_patience(cx).is_ready());
                too_slow.then_some(Refusal::TooSlow)
            }
            Ok(refusal) => refusal,
            Err(message) => {
                if let Some(owner) = self.as_mut().project().owner {
                    owner.panicked(&message);
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

/// Answers with an app's response once that is as HTTP has it; or says why it can't be, and gives
/// the owner back.
#[inline(never)]
fn answer_rightly<B: ResponseBody>(
    mut head: response::Parts,
    body: B,
    mut owner: Owner,
    slot: &mut Option<Owner>,
    answer: &mut Answer<B>,
) -> Option<Refusal> {
    let upgrades = owner.upgrades(head.status);
    if head.status.is_informational() && !upgrades {
        owner.wrong(
            "a response's status was 1xx, which is no final one: 500 was sent instead (RFC 9110 15.2)",
        );
        *slot = Some(owner);
        return Some(Refusal::Failed);
    }
    let (mut content, mut close) = (Content::Whole, false);
    // A tunnel has no content.
    if !upgrades {
        let size = body.size_hint();
        let (settled, wrong) =
            content::settle(&mut head, &size, owner.answers_head(), owner.is_stream());
        if let Some(wrong) = wrong {
            owner.wrong(wrong);
        }
        content = settled;
        close = owner.tells_to_leave();
        // Its body ends with the connection, of which hyper says that it's kept, unless the
        // response is of that version, too.
        if owner.is_old() && content == Content::Whole && size.exact().is_none() {
            head.version = Version::HTTP_10;
            owner.ends_connection();
            close = true;
        }
    }
    if close {
        owner.give_up_rest();
    }
    let mut response = Response::from_parts(head, Reply::limited(body, content, owner));
    if close {
        tell_to_leave(&mut response);
    }
    *answer = Poll::Ready(Ok(response));
    None
}

/// The peer is to make a new connection next time (RFC 9112 9.6).
fn tell_to_leave<B>(response: &mut Response<B>) {
    // Beside what the app says in it, such as `upgrade`.
    response
        .headers_mut()
        .append(CONNECTION, HeaderValue::from_static("close"));
}

impl<S: HttpService> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
