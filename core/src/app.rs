//! What answers requests: any tower service, or one made for each worker.
use crate::{Body, BoxError, ConnInfo, Worker};
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
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't answer HTTP requests",
    label = "this is not a service that anyport can serve",
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that is `Clone + 'static`, returns an `http::Response` of a body and an error that fits into a `Box<dyn Error + Send + Sync>`",
    note = "to serve a closure, wrap it: `service_fn(|request: Request<Body>| async {{ Ok::<_, Infallible>(Response::new(Body::from(\"hello\"))) }})`; an `axum::Router` is served as it is",
    note = "to make an app for each worker, which may be `!Send`, use `per_worker(|worker| ..)`"
)]
pub trait HttpService:
    Service<Request<Body>, Response = Response<Self::ResBody>, Error: Into<BoxError>, Future = Self::Fut>
    + Clone
    + 'static
{
    /// The body of its responses.
    type ResBody: ResponseBody;

    /// The future of a response.
    type Fut: Future<Output = Result<Response<Self::ResBody>, <Self as Service<Request<Body>>>::Error>>
        + 'static;
}

#[diagnostic::do_not_recommend]
impl<S, B> HttpService for S
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: 'static>
        + Clone
        + 'static,
    B: ResponseBody,
{
    type ResBody = B;
    type Fut = S::Future;
}

/// The body of a response: any `http_body::Body` whose data can be sent to another thread (HTTP/2 asks for that) and whose
/// error fits into a [`BoxError`]. `String`, `http_body_util::Full`, [`Body`] and axum's body are some.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the body of a response",
    label = "not a response body",
    note = "a response body is an `http_body::Body` of data that's `Send`: a `String`, `http_body_util::Full<Bytes>`, `anyport::Body`, .."
)]
pub trait ResponseBody: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static {}

#[diagnostic::do_not_recommend]
impl<B: HttpBody<Data: Buf + Send, Error: Into<BoxError>> + 'static> ResponseBody for B {}

/// What makes a worker's service: a service itself, which is cloned, or [`per_worker`].
///
/// # Contract
///
/// [`make`](Self::make) runs once on each worker, inside its runtime. [`connect`](Self::connect) runs once for each connection, before its
/// first request; the service it returns is then cloned for each request. A panic in any of them costs the connection, not the
/// worker (in `make`, the server's start fails).
///
/// # Examples
///
/// An app that knows who it's talking to:
///
/// ```
/// use anyport_core::{App, Body, ConnInfo, Worker};
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
///     fn connect(&self, _: &Greeting, info: &ConnInfo) -> Greeting {
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
    label = "not an app",
    note = "an app is a `tower::Service<http::Request<anyport::Body>>` that is `Clone + Send + 'static` and returns an `http::Response` of a body",
    note = "to serve a closure, wrap it: `service_fn(|request: Request<Body>| async {{ Ok::<_, Infallible>(Response::new(Body::from(\"hello\"))) }})`; an `axum::Router` is served as it is",
    note = "to make an app for each worker, which may be `!Send`, use `per_worker(|worker| ..)`"
)]
pub trait App: Clone + Send + 'static {
    /// The service that answers.
    type Service: HttpService;

    /// Makes the service of one worker.
    fn make(&self, worker: &Worker) -> Self::Service;

    /// Makes the service of one connection from the worker's. Default: a clone.
    fn connect(&self, service: &Self::Service, _info: &ConnInfo) -> Self::Service {
        service.clone()
    }
}

#[diagnostic::do_not_recommend]
impl<S: HttpService + Send> App for S {
    type Service = S;

    fn make(&self, _: &Worker) -> S {
        self.clone()
    }
}

/// An app that's made anew on each worker, so that its state may be `!Send`: an `Rc`, a `RefCell`, a cache without a lock.
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
