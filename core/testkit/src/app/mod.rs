//! The app that the suite serves: one route for each behaviour.
mod body;
pub(crate) mod cross_thread;
pub(crate) mod local;
pub(crate) mod response;
mod routes;
pub(crate) mod script;
pub(crate) mod state;

use anyport_core::{Body, error::BoxError};
use http::{Method, Request, Response};
use state::{AppFault, State};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tower_service::Service;

/// A boxed future.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The prefix of every deliberate panic. Panics with it are not printed.
pub(crate) const DELIBERATE: &str = "deliberate:";

/// Length of the body of `/big`, which is one frame: larger than the buffers of any transport.
pub(crate) const BIG: usize = 48 * 1024 * 1024;

/// Number of chunks in the response to `/chunks/LENGTH`; each has that length.
pub(crate) const CHUNKS: usize = 3;

/// Body of the response to `/`.
pub(crate) const HELLO: &str = "Hello, World!";

/// The app that the suite serves.
pub(crate) struct App {
    state: Arc<State>,
}

impl App {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }
}

impl Clone for App {
    fn clone(&self) -> Self {
        assert!(
            !self.state.take_fault(AppFault::PanicInClone),
            "{DELIBERATE} in clone"
        );
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

type RouteResult = Result<Response<Body>, BoxError>;

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Boxed<RouteResult>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(
            !self.state.take_fault(AppFault::PanicInPollReady),
            "{DELIBERATE} in poll_ready"
        );
        if self.state.take_fault(AppFault::NotReady) {
            return Poll::Ready(Err("not ready".into()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Boxed<RouteResult> {
        let path = request.uri().path();
        let route = match *request.method() {
            Method::CONNECT => routes::upgrade,
            _ => routes::find(path).unwrap_or(routes::not_found),
        };
        route(&self.state, request)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
