//! The app that the suite serves, with a route for each behaviour.
pub(crate) mod answer;
mod body;
pub(crate) mod cross_thread;
pub(crate) mod local;
mod routes;
pub(crate) mod script;
pub(crate) mod state;

use anyport_core::{Body, BoxError};
use http::{Method, Request, Response};
use state::{Fault, State};
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

/// What every deliberate panic begins with; it's kept out of the tests' output.
pub(crate) const DELIBERATE: &str = "deliberate:";

/// How much `/big` answers, in one piece: more than any transport has buffers for.
pub(crate) const BIG: usize = 48 * 1024 * 1024;

/// In how many chunks `/chunks/LENGTH` answers, of that length each.
pub(crate) const CHUNKS: usize = 3;

/// What `/` answers.
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
            !self.state.strikes(Fault::PanicInClone),
            "{DELIBERATE} in clone"
        );
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

type Answer = Result<Response<Body>, BoxError>;

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Boxed<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(
            !self.state.strikes(Fault::PanicInPollReady),
            "{DELIBERATE} in poll_ready"
        );
        if self.state.strikes(Fault::NotReady) {
            return Poll::Ready(Err("not ready".into()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Boxed<Answer> {
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
