//! One request: from hyper to the app and back, with an answer in any case.
use super::{
    Reply,
    content::{self, Content},
    detect, host, offer,
    owner::{Asked, Becomes, Owner},
    refusal::Refusal,
    request,
    rest::Rest,
    upload::Upload,
};
#[cfg(feature = "http2")]
use super::{unread::Unread, upgraded::Facts};
use crate::{
    app::{Body, HttpResponse, HttpService, ResponseBody},
    engine::ConnState,
    runtime::panics,
    transport::ConnInfo,
};
use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{CONNECTION, EXPECT},
    request::Parts,
    response,
};
use hyper::{
    body::{Body as _, Incoming, SizeHint},
    upgrade::OnUpgrade,
};
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

/// The service of one connection, as hyper sees it.
pub struct ConnService<S> {
    service: S,
    info: ConnInfo,
    /// Each request has that in its extensions: it was asked for.
    tells_info: bool,
    state: Arc<ConnState>,
    version: detect::Version,
    /// Each request has a hook or a deadline.
    hooked: bool,
    /// HTTP/2: where bodies are left that nobody reads to their ends.
    #[cfg(feature = "http2")]
    unread: Option<Arc<Unread>>,
}

impl<S> ConnService<S> {
    pub(super) fn new(service: S, info: ConnInfo, state: Arc<ConnState>, version: detect::Version) -> Self {
        let config = state.config();
        let (hooked, tells_info) = (config.has_request_hooks(), config.http.conn_info);
        Self {
            service,
            info,
            tells_info,
            state,
            version,
            hooked,
            #[cfg(feature = "http2")]
            unread: (version == detect::Version::Http2).then(Unread::new),
        }
    }

    /// HTTP/2: where bodies are left that nobody reads to their ends.
    #[cfg(feature = "http2")]
    pub(super) fn unread(&self) -> Option<&Arc<Unread>> {
        self.unread.as_ref()
    }
}

// Nothing pins the service: it's cloned for each request.
impl<S> Unpin for ConnService<S> {}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for ConnService<S> {
    type Response = Response<Reply<S::ResBody>>;
    type Error = Infallible;
    type Future = Call<S>;

    fn call(&self, request: Request<Incoming>) -> Call<S> {
        // A request is large, so it's taken apart once and put together where it's handed over: that moves it least.
        let (mut head, body) = request.into_parts();
        let has_body = !body.is_end_stream();
        // What nearly all requests are: they need no reference to their connection, and there's little to check in them.
        let is_plain = head.method == Method::GET
            && head.version == Version::HTTP_11
            && !has_body
            && head.extensions.get::<OnUpgrade>().is_none();
        let owner = match is_plain && !self.hooked {
            true => Owner::http1(),
            false => self.owner(&head, has_body),
        };
        let connect = !is_plain && head.method == Method::CONNECT;
        let checked = match host::check(&mut head, connect) {
            Ok(()) if is_plain && !request::is_asterisk(&head) => Ok(()),
            Ok(()) => request::check(&head, &body),
            Err(wrong) => Err(Refusal::BadRequest(wrong)),
        };
        let step = match checked {
            Ok(()) => {
                if self.tells_info {
                    head.extensions.insert(self.info.clone());
                }
                #[cfg(feature = "http2")]
                if connect && self.version == detect::Version::Http2 {
                    head.extensions.insert(Facts(self.info.clone()));
                }
                let body = match has_body {
                    true => self.upload(body, owner.rest(), &head),
                    false => Body::empty(),
                };
                let begun =
                    panics::catch(move || Step::begin(self.service.clone(), Request::from_parts(head, body)));
                begun.unwrap_or_else(|message| {
                    owner.panicked(&message);
                    Step::refused(Refusal::Failed)
                })
            }
            Err(refusal) => {
                if has_body {
                    drop(self.upload(body, owner.rest(), &head));
                }
                Step::refused(refusal)
            }
        };
        Call {
            step,
            owner: Some(owner),
        }
    }
}

impl<S> ConnService<S> {
    #[inline(never)]
    fn owner(&self, head: &Parts, has_body: bool) -> Owner {
        let asked = Asked {
            becomes: match head.extensions.get::<OnUpgrade>() {
                _ if head.method == Method::CONNECT => Becomes::Tunnel,
                Some(_) if self.version == detect::Version::Http1 => Becomes::Upgrade,
                _ => Becomes::Itself,
            },
            is_head: head.method == Method::HEAD,
            is_old: head.version == Version::HTTP_10,
        };
        if self.version == detect::Version::Http1
            && let Some(offer) = head.extensions.get::<OnUpgrade>()
        {
            offer::note(offer.clone());
        }
        match self.version {
            detect::Version::Http1 => Owner::http1_known(&self.state, asked, has_body.then(Arc::default)),
            detect::Version::Http2 => Owner::stream(&self.state, asked),
        }
    }

    fn upload(&self, body: Incoming, rest: Option<&Arc<Rest>>, head: &Parts) -> Body {
        if self.version == detect::Version::Http1 {
            // Its end, in this very poll perhaps, needn't wake the connection.
            self.state.set_busy(true);
        }
        let upload = Upload::new(body, &self.state);
        #[cfg(feature = "http2")]
        if let Some(unread) = &self.unread {
            return Body::new(upload.or_leave(Arc::clone(unread)));
        }
        let waits = || {
            let expected = head.headers.get(EXPECT);
            expected.is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        };
        Body::new(match rest {
            Some(rest) => upload.or_rest(Arc::clone(rest), waits()),
            None => upload,
        })
    }
}

impl<S> fmt::Debug for ConnService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnService").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The future of one response. It never fails: what the app does wrong is answered.
    pub struct Call<S: HttpService> {
        #[pin]
        step: Step<S, S::Fut>,
        owner: Option<Owner>,
    }
}

pin_project_lite::pin_project! {
    #[project = StepProj]
    enum Step<S, F> {
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
struct Waiting<S> {
    service: S,
    request: Option<Request<Body>>,
}

impl<S: HttpService> Step<S, S::Fut> {
    /// Most services are always ready: they get the request at once, and it need not wait in a future that's moved about. The others are
    /// asked again when there's a task to wake.
    fn begin(mut service: S, request: Request<Body>) -> Self {
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

    fn refused(refusal: Refusal) -> Self {
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
    /// The app's response as hyper gets it, or why there's none. What was left of the app's work has been dropped by then.
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
        let Some(mut owner) = me.owner.take() else { return };
        if let Err(message) = panics::catch(|| me.step.set(Step::Over)) {
            owner.panicked(&message);
        }
        // Who gets the host wrong may have got more wrong: what follows on this connection isn't trusted.
        let close = match refusal {
            Refusal::BadRequest(_) | Refusal::NotImplemented(_) => !owner.is_stream(),
            _ => owner.tells_to_leave(),
        };
        if close {
            owner.give_up_rest();
        }
        let (mut head, text) = refusal.response(&owner).into_parts();
        let size = SizeHint::with_exact(text.len() as u64);
        let (content, _) = content::settle(&mut head, &size, owner.answers_head(), owner.is_stream());
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

/// Answers with an app's response once that is as HTTP has it; or says why it can't be, and gives the owner back.
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
        let (settled, wrong) = content::settle(&mut head, &size, owner.answers_head(), owner.is_stream());
        if let Some(wrong) = wrong {
            owner.wrong(wrong);
        }
        content = settled;
        close = owner.tells_to_leave();
        // Its body ends with the connection, of which hyper says that it's kept, unless the response is of that version, too.
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
