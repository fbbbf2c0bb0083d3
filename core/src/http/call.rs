//! One request: from hyper to the app and back, with an answer in any case.
use super::{Reply, detect::Version, host};
use crate::{
    BoxError, ConnInfo, HttpResponse, HttpService,
    body::Body,
    engine::{ConnState, Patience, panics},
    observe::TimedOut,
};
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE},
};
use hyper::body::Incoming;
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
    /// For the extensions of each request, if that was asked for.
    info: Option<ConnInfo>,
    state: Arc<ConnState>,
    version: Version,
}

impl<S> ConnService<S> {
    pub(super) fn new(service: S, info: Option<ConnInfo>, state: Arc<ConnState>, version: Version) -> Self {
        Self {
            service,
            info,
            state,
            version,
        }
    }

    fn owner(&self) -> Owner {
        self.state.count_request();
        if self.version == Version::Http1 {
            self.state.set_answering(true);
        }
        Owner {
            state: Arc::clone(&self.state),
            version: self.version,
        }
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for ConnService<S> {
    type Response = Response<Reply<S::ResBody>>;
    type Error = Infallible;
    type Future = Call<S>;

    fn call(&self, mut request: Request<Incoming>) -> Call<S> {
        let connect = *request.method() == Method::CONNECT;
        let step = if let Err(wrong) = host::check(&mut request) {
            Step::Refused {
                refusal: Refusal::BadRequest(wrong),
            }
        } else {
            if let Some(info) = &self.info {
                request.extensions_mut().insert(info.clone());
            }
            let request = request.map(|body| Body::incoming(body, &self.state));
            match panics::catch(|| Step::begin(self.service.clone(), request)) {
                Ok(step) => step,
                Err(message) => {
                    self.state.panicked(&message);
                    Step::Refused {
                        refusal: Refusal::Failed,
                    }
                }
            }
        };
        Call {
            step,
            connect,
            patience: Patience::default(),
            owner: Some(self.owner()),
        }
    }
}

impl<S> fmt::Debug for ConnService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnService").finish_non_exhaustive()
    }
}

/// The connection that a request belongs to; held to the end of its response. An HTTP/2 stream counts by itself.
pub(super) struct Owner {
    state: Arc<ConnState>,
    version: Version,
}

impl Owner {
    pub(super) fn connection(&self) -> &ConnState {
        &self.state
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        self.version == Version::Http2
    }

    /// Whether the response says so. HTTP/2 has a frame of its own for it.
    fn tells_to_leave(&self) -> bool {
        self.version == Version::Http1 && self.state.is_leaving()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.version == Version::Http1 {
            self.state.set_answering(false);
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of one response. It never fails: what the app does wrong is answered.
    pub struct Call<S: HttpService> {
        #[pin]
        step: Step<S, S::Fut>,
        connect: bool,
        // Of the response's head, if there's one and the app makes us wait.
        patience: Patience,
        owner: Option<Owner>,
    }
}

pin_project_lite::pin_project! {
    #[project = StepProj]
    enum Step<S, F> {
        Waiting {
            service: S,
            request: Option<Request<Body>>,
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

/// Why the server answers instead of the app.
enum Refusal {
    BadRequest(&'static str),
    /// The service said that it won't be ready again.
    NotReady,
    /// The service gave an error.
    Err(BoxError),
    /// The service panicked.
    Failed,
    /// The service took longer than it may.
    TooSlow,
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
                service,
                request: Some(request),
            },
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response<S::ResBody>, Refusal>> {
        loop {
            let future = match self.as_mut().project() {
                StepProj::Waiting { service, request } => match ready!(service.poll_ready(cx)) {
                    Ok(()) => match request.take() {
                        Some(request) => service.call(request),
                        None => return Poll::Ready(Err(Refusal::Failed)),
                    },
                    Err(_) => return Poll::Ready(Err(Refusal::NotReady)),
                },
                StepProj::Running { future } => {
                    return future
                        .poll(cx)
                        .map_ok(HttpResponse::into_http)
                        .map_err(|error| Refusal::Err(error.into()));
                }
                StepProj::Refused { refusal } => {
                    return Poll::Ready(Err(std::mem::replace(refusal, Refusal::Failed)));
                }
                StepProj::Over => return Poll::Ready(Err(Refusal::Failed)),
            };
            self.set(Self::Running { future });
        }
    }
}

impl<S: HttpService> Step<S, S::Fut> {
    /// The app's response as hyper gets it. What was left of the app's work has been dropped by then.
    fn poll_reply(
        mut self: Pin<&mut Self>,
        owner: &mut Option<Owner>,
        connect: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Reply<S::ResBody>>, Refusal>> {
        let response = match ready!(self.as_mut().poll(cx)) {
            Ok(response) => response,
            Err(refusal) => return Poll::Ready(Err(refusal)),
        };
        self.set(Self::Over);
        let owner = owner.take();
        let mut close = false;
        if let Some(owner) = &owner {
            let status = response.status();
            let switched = status == StatusCode::SWITCHING_PROTOCOLS && owner.version == Version::Http1;
            if switched || (connect && status.is_success()) {
                owner.connection().set_upgraded();
            } else {
                close = owner.tells_to_leave();
            }
        }
        let mut response = response.map(|body| Reply::app(body, owner));
        if close {
            tell_to_leave(&mut response);
        }
        Poll::Ready(Ok(response))
    }
}

impl<S: HttpService> Future for Call<S> {
    type Output = Result<Response<Reply<S::ResBody>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut me = self.project();
        let (step, owner, connect) = (me.step.as_mut(), &mut *me.owner, *me.connect);
        let refusal = match panics::catch(|| step.poll_reply(owner, connect, cx)) {
            Ok(Poll::Ready(Ok(response))) => return Poll::Ready(Ok(response)),
            Ok(Poll::Ready(Err(refusal))) => refusal,
            Ok(Poll::Pending) => {
                ready!(poll_patience(me.patience, me.owner.as_ref(), cx));
                if let Some(owner) = me.owner {
                    owner.connection().timed_out(TimedOut::Request);
                }
                Refusal::TooSlow
            }
            Err(message) => {
                observe_panic(me.owner.as_ref(), &message);
                Refusal::Failed
            }
        };
        if let Err(message) = panics::catch(|| me.step.set(Step::Over)) {
            observe_panic(me.owner.as_ref(), &message);
        }
        let owner = me.owner.take();
        let response = match &owner {
            Some(owner) => refuse(&refusal, owner.connection()),
            None => Response::new(""),
        };
        // Who gets the host wrong may have got more wrong: what follows on this connection isn't trusted.
        let close = match (&refusal, &owner) {
            (Refusal::BadRequest(_), Some(owner)) => !owner.is_stream(),
            (_, Some(owner)) => owner.tells_to_leave(),
            (_, None) => false,
        };
        let mut response = response.map(|text| Reply::server(text, owner));
        if close {
            tell_to_leave(&mut response);
        }
        Poll::Ready(Ok(response))
    }
}

/// The peer is to make a new connection next time (RFC 9112 9.6).
fn tell_to_leave<B>(response: &mut Response<B>) {
    // Beside what the app says in it, such as `upgrade`.
    response
        .headers_mut()
        .append(CONNECTION, HeaderValue::from_static("close"));
}

fn observe_panic(owner: Option<&Owner>, message: &str) {
    if let Some(owner) = owner {
        owner.connection().panicked(message);
    }
}

/// Ready when the app has taken as long as it may. Without such a limit, it costs a comparison.
fn poll_patience(patience: &mut Patience, owner: Option<&Owner>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(owner) = owner else {
        return Poll::Ready(());
    };
    let worker = &owner.connection().worker;
    patience.poll(worker.shared.config.timeouts.request, worker, cx)
}

/// The status for an error of the app, which is one of an error whatever the hook says.
fn status_of(error: &BoxError, connection: &ConnState) -> StatusCode {
    let Some(status_of) = &connection.worker.shared.config.http.status_of else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    match panics::catch(|| status_of(error)) {
        Ok(status) if status.is_client_error() || status.is_server_error() => status,
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Err(message) => {
            connection.panicked(&message);
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

fn refuse(refusal: &Refusal, connection: &ConnState) -> Response<&'static str> {
    let (status, text) = match refusal {
        Refusal::BadRequest(wrong) => (StatusCode::BAD_REQUEST, *wrong),
        Refusal::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "the app is not ready\n"),
        Refusal::Err(error) => (status_of(error, connection), "the app failed\n"),
        Refusal::TooSlow => (StatusCode::GATEWAY_TIMEOUT, "the app took too long\n"),
        Refusal::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "the app failed\n"),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

impl<S: HttpService> fmt::Debug for Call<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
