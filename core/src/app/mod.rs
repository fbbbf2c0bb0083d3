//! Apps: any tower service, or one service per worker; and the bodies of requests and responses.
//!
//! This layer has requests, responses and facts about connections. It knows no protocol and no
//! engine.
mod body;

pub use body::{Body, Piece};

use crate::{error::BoxError, runtime::Worker, transport::ConnInfo};
use bytes::Buf;
use http::{Request, Response};
use http_body::Body as HttpBody;
use std::{fmt, future::Future};
use tower_service::Service;

/// What answers the requests of one connection: a `tower::Service<http::Request<Body>>`.
///
/// It's implemented for every service with these properties, and can't be implemented otherwise:
///
/// - its response is an `http::Response<B>`, where `B` is a [`ResponseBody`];
/// - its error becomes a [`BoxError`] (also `Infallible` does);
/// - it's `Clone + 'static`. It's cloned once per connection and once per request.
///
/// No `Send` is asked for here: the transport's runtime asks for it, if it needs it.
// Each property is a trait of its own, so that the compiler's message names the one that's missing:
// see the package in tests/compile_fail. Only those traits' impls have `do_not_recommend`; with it,
// this one would swallow their messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app",
    label = "this is not an app",
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that's `Clone`: an `axum::Router`, or what `service_fn` gives",
    note = "to serve a function or a closure, wrap it: `service_fn(|request: Request<Body>| async {{ Ok::<_, Infallible>(Response::new(Body::from(\"hello\"))) }})`"
)]
pub trait HttpService:
    RequestService<Res: HttpResponse<Body = Self::ResBody>, Err: Into<BoxError>, Fut: 'static>
    + Clone
    + 'static
{
    /// The body of its responses.
    type ResBody: ResponseBody;
}

impl<S> HttpService for S
where
    S: RequestService<Res: HttpResponse<Body: ResponseBody>, Err: AppError, Fut: 'static>
        + Clone
        + 'static,
{
    type ResBody = <S::Res as HttpResponse>::Body;
}

/// A `tower::Service` of requests, whatever it answers.
pub trait RequestService:
    Service<Request<Body>, Response = Self::Res, Error = Self::Err, Future = Self::Fut>
{
    /// Its response.
    type Res;

    /// Its error.
    type Err;

    /// The future of a response.
    type Fut: Future<Output = Result<Self::Res, Self::Err>>;
}

#[diagnostic::do_not_recommend]
impl<S: Service<Request<Body>>> RequestService for S {
    type Res = S::Response;
    type Err = S::Error;
    type Fut = S::Future;
}

/// What an app answers with: an `http::Response`.
#[diagnostic::on_unimplemented(
    message = "an app answers with an `http::Response`, not with `{Self}`",
    label = "this app answers with `{Self}`",
    note = "make it the body of a response: `Response::new(..)`",
    note = "an `axum::Router` is served as it is, without `into_make_service()`"
)]
pub trait HttpResponse {
    /// Its body.
    type Body;

    /// The response itself.
    #[doc(hidden)]
    fn into_http(self) -> Response<Self::Body>;
}

#[diagnostic::do_not_recommend]
impl<B> HttpResponse for Response<B> {
    type Body = B;

    fn into_http(self) -> Self {
        self
    }
}

/// The body of a response: any `http_body::Body` whose data can be sent to another thread (HTTP/2
/// asks for that) and whose error fits into a [`BoxError`]. `String`, `http_body_util::Full`,
/// [`Body`] and axum's body are some.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the body of a response",
    label = "this app answers with a `Response<{Self}>`",
    note = "a body is a `String`, an `anyport::Body`, an `http_body_util::Full<Bytes>`, or any other `http_body::Body` whose data is `Send`"
)]
pub trait ResponseBody: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static {}

#[diagnostic::do_not_recommend]
impl<B: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static> ResponseBody for B {}

/// The error of an app: whatever becomes a [`BoxError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of an app",
    label = "this app fails with `{Self}`",
    note = "implement `std::error::Error` for it; an app that never fails has the error `Infallible`"
)]
pub trait AppError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> AppError for E {}

/// Takes services that can be sent to it.
#[diagnostic::on_unimplemented(
    message = "this app is not `Send`, so it can't be handed to the threads of a server",
    label = "`{S}` is not `Send`",
    note = "either make the app `Send`: an `Arc` for each `Rc`, an atomic or a `Mutex` for each `Cell` and `RefCell`",
    note = "or make an app for each worker, which may be `!Send`, on threads of their own: `serve_with(Tcp::bind(3000).per_core(), per_worker(|worker| app))`"
)]
pub trait CanReceive<S> {}

#[diagnostic::do_not_recommend]
impl<S: Send> CanReceive<S> for Worker {}

/// `Send`, asked for one step later.
pub trait SendService: Send {}

impl<S: Send> SendService for S {}

/// What makes a worker's service: a service itself, which is cloned, or [`per_worker`].
///
/// # Contract
///
/// [`make`](Self::make) runs once on each worker, inside its runtime. [`connect`](Self::connect)
/// runs once for each connection, before its first request, and is given a clone of the worker's
/// service; the service it returns is then cloned for each request. A panic in any of them costs
/// the connection, not the worker (in `make`, the server's start fails).
///
/// # Examples
///
/// An app that knows who it's talking to:
///
/// ```
/// use anyport_core::{App, Body, ConnInfo, runtime::Worker};
/// use http::{Request, Response};
/// use std::{convert::Infallible, future::{Ready, ready}, task::{Context, Poll}};
/// use tower_service::Service;
///
/// #[derive(Clone)]
/// struct Greeter;
///
/// #[derive(Clone)]
/// struct Greeting(String);
///
/// impl App for Greeter {
///     type Service = Greeting;
///
///     fn make(&self, _: &Worker) -> Greeting {
///         Greeting(String::new())
///     }
///
///     fn connect(&self, _: Greeting, info: &ConnInfo) -> Greeting {
///         Greeting(format!("Hello, {}!", info.peer()))
///     }
/// }
///
/// impl Service<Request<Body>> for Greeting {
///     type Response = Response<String>;
///     type Error = Infallible;
///     type Future = Ready<Result<Response<String>, Infallible>>;
///
///     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
///         Poll::Ready(Ok(()))
///     }
///
///     fn call(&mut self, _: Request<Body>) -> Self::Future {
///         ready(Ok(Response::new(self.0.clone())))
///     }
/// }
/// # fn is_app(_: impl App) {}
/// # is_app(Greeter);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app",
    label = "this is not an app",
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that's `Clone`: an `axum::Router`, or what `service_fn` gives",
    note = "to serve a function or a closure, wrap it: `service_fn(|request: Request<Body>| async {{ Ok::<_, Infallible>(Response::new(Body::from(\"hello\"))) }})`"
)]
pub trait App: Clone + Send + 'static {
    /// The service that answers.
    type Service: HttpService;

    /// Makes the service of one worker.
    fn make(&self, worker: &Worker) -> Self::Service;

    /// Makes the service of one connection from a clone of the worker's. Default: that clone.
    fn connect(&self, service: Self::Service, _info: &ConnInfo) -> Self::Service {
        service
    }
}

impl<S> App for S
where
    S: HttpService,
    Worker: CanReceive<S>,
    S: SendService,
{
    type Service = S;

    fn make(&self, _: &Worker) -> S {
        self.clone()
    }
}

/// An app that's made anew on each worker, so that its state may be `!Send`: an `Rc`, a `RefCell`,
/// a cache without a lock.
///
/// It needs a transport whose workers have threads of their own.
///
/// ```
/// # use anyport_core::{per_worker, Body, App};
/// # use http::{Request, Response};
/// # use std::{cell::Cell, convert::Infallible, rc::Rc};
/// # fn is_app(_: impl App) {}
/// # is_app(
/// per_worker(|worker| {
///     let seen = Rc::new(Cell::new(0));
///     tower::service_fn(move |_: Request<Body>| {
///         let seen = Rc::clone(&seen);
///         async move {
///             seen.set(seen.get() + 1);
///             Ok::<_, Infallible>(Response::new(format!("{} so far", seen.get())))
///         }
///     })
/// })
/// # );
/// ```
pub fn per_worker<F, S>(make: F) -> PerWorker<F>
where
    F: Fn(&Worker) -> S + Clone + Send + 'static,
    S: HttpService,
{
    PerWorker(make)
}

/// The [`App`] that [`per_worker`] gives.
#[derive(Clone)]
pub struct PerWorker<F>(F);

#[diagnostic::do_not_recommend]
impl<F, S> App for PerWorker<F>
where
    F: Fn(&Worker) -> S + Clone + Send + 'static,
    S: HttpService,
{
    type Service = S;

    fn make(&self, worker: &Worker) -> S {
        (self.0)(worker)
    }
}

impl<F> fmt::Debug for PerWorker<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerWorker").finish_non_exhaustive()
    }
}
