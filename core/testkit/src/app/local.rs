//! An app that is not `Send`.
use crate::app::DELIBERATE;
use anyport_core::{Body, runtime::Worker};
use http::{Request, Response};
use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tower_service::Service;

/// An app whose state is an `Rc`: it counts the requests of its worker without a lock.
#[derive(Clone, Debug)]
pub struct LocalApp {
    worker: usize,
    seen: Rc<Cell<u64>>,
}

impl LocalApp {
    pub(crate) fn new(worker: &Worker) -> Self {
        Self {
            worker: worker.index(),
            seen: Rc::default(),
        }
    }

    /// Panics on the last worker.
    pub(crate) fn failing(worker: &Worker) -> Self {
        assert!(worker.index() + 1 < worker.count(), "{DELIBERATE} in make");
        Self::new(worker)
    }
}

impl Service<Request<Body>> for LocalApp {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// Responds with `<worker> <requests so far>`.
    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let Self { worker, seen } = self.clone();
        Box::pin(async move {
            seen.set(seen.get() + 1);
            Ok(Response::new(format!("{worker} {}", seen.get())))
        })
    }
}
