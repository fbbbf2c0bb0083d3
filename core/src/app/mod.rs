//! Apps: any tower service, or one service per worker; and the bodies of requests and responses.
//!
//! This layer has requests, responses and facts about connections. It must not depend on a protocol
//! or on the engine.
mod body;

pub use body::{Body, Piece};

use crate::{error::BoxError, runtime::Worker, transport::ConnInfo};
use bytes::Buf;
use http::{Request, Response};
use http_body::Body as HttpBody;
use std::{fmt, future::Future};
use tower_service::Service;

/// The service for the requests of one connection: a `tower::Service<http::Request<Body>>`.
///
/// Every service with these properties implements it, and nothing else does:
///
/// - its response is an `http::Response<B>`, where `B` is a [`ResponseBody`];
/// - its error converts into a [`BoxError`], as `Infallible` does;
/// - it is `Clone + 'static`. The server clones it once per connection and once per request.
///
/// This trait does not require `Send`: the transport's runtime does, if it moves tasks between
/// threads.
// Each property is a separate trait, so that the compiler's message names the missing one: see the
// package in tests/compile_fail. Only the impls of those traits have `do_not_recommend`; on this
// one, it would hide their messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an app",
    label = "this is not an app",
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that is `Clone`: an `axum::Router`, for example, or the result of `service_fn`",
    note = "an `axum::Router<State>` is one when it has its state: `router.with_state(state)`",
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

/// A `tower::Service` of requests with any response. Its associated types repeat those of the
/// service, so that other bounds can name them.
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

/// The response of an app: an `http::Response`.
#[diagnostic::on_unimplemented(
    message = "an app responds with an `http::Response`, not with `{Self}`",
    label = "this app responds with `{Self}`",
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

/// The body of a response: any `http_body::Body` whose data is `Send` (HTTP/2 requires that) and
/// whose error converts into a [`BoxError`]. Examples are `String`, `http_body_util::Full`,
/// [`Body`] and axum's body.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the body of a response",
    label = "this app responds with a `Response<{Self}>`",
    note = "a body is a `String`, an `anyport::Body`, an `http_body_util::Full<Bytes>`, or any other `http_body::Body` whose data is `Send`"
)]
pub trait ResponseBody: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static {}

#[diagnostic::do_not_recommend]
impl<B: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static> ResponseBody for B {}

/// The error of an app: any type that converts into a [`BoxError`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of an app",
    label = "this app fails with `{Self}`",
    note = "implement `std::error::Error` for it; an app that never fails has the error `Infallible`"
)]
pub trait AppError: Into<BoxError> {}

#[diagnostic::do_not_recommend]
impl<E: Into<BoxError>> AppError for E {}

/// A worker that can receive a service from another thread.
#[diagnostic::on_unimplemented(
    message = "this app is not `Send`, so it cannot be sent to the workers of a server",
    label = "`{S}` is not `Send`",
    note = "either make the app `Send`: an `Arc` for each `Rc`, an atomic or a `Mutex` for each `Cell` and `RefCell`",
    note = "or make an app for each worker, which may be `!Send`, on threads of their own: `serve_with(Tcp::bind(3000).per_core(), per_worker(|worker| app))`"
)]
pub trait CanReceive<S> {}

#[diagnostic::do_not_recommend]
impl<S: Send> CanReceive<S> for Worker {}

/// `Send`, checked after [`CanReceive`], whose message is better.
pub trait SendService: Send {}

impl<S: Send> SendService for S {}

/// Makes the service of each worker and of each connection. A service is an app that clones itself;
/// [`per_worker`] makes an app from a function.
///
/// # Contract
///
/// [`make`](Self::make) runs once on each worker, inside its runtime. [`connect`](Self::connect)
/// runs once for each connection, before its first request, with a clone of the worker's service.
/// The service that it returns is cloned for each request.
///
/// A panic in `connect` ends the connection and not the worker. A panic in `make` fails the
/// server's start.
///
/// # Examples
///
/// An app that greets each peer by its address:
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
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that is `Clone`: an `axum::Router`, for example, or the result of `service_fn`",
    note = "an `axum::Router<State>` is one when it has its state: `router.with_state(state)`",
    note = "to serve a function or a closure, wrap it: `service_fn(|request: Request<Body>| async {{ Ok::<_, Infallible>(Response::new(Body::from(\"hello\"))) }})`"
)]
pub trait App: Clone + Send + 'static {
    /// The service that answers.
    type Service: HttpService;

    /// Makes the service of one worker.
    fn make(&self, worker: &Worker) -> Self::Service;

    /// Makes the service of one connection from a clone of the worker's service. Default: that
    /// clone.
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

/// Makes an app on each worker. Its state may be `!Send`: an `Rc`, a `RefCell`, a cache without a
/// lock.
///
/// The transport's workers must have threads of their own.
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

/// The [`App`] that [`per_worker`] returns.
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
