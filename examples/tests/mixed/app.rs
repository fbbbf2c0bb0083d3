//! The app: its routes return the name of the transport, wait, echo, and panic.
use anyport::{
    Body, Request, Response,
    http::{StatusCode, header},
    runtime::TokioIo,
};
use axum::{Router, routing::get};
use std::{panic::resume_unwind, sync::Arc};
use tokio::{io, sync::Semaphore};

/// Signals between a test and its apps, across runtimes.
#[derive(Clone)]
pub(crate) struct Signals {
    /// One permit for each request that has begun to wait.
    arrived: Arc<Semaphore>,
    /// One permit for each request that may respond.
    released: Arc<Semaphore>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self {
            arrived: none(),
            released: none(),
        }
    }

    /// Waits until this many requests wait.
    pub(crate) async fn arrived(&self, requests: usize) {
        let requests = u32::try_from(requests).unwrap();
        self.arrived.acquire_many(requests).await.unwrap().forget();
    }

    pub(crate) fn release(&self, requests: usize) {
        self.released.add_permits(requests);
    }

    async fn wait(&self) {
        self.arrived.add_permits(1);
        self.released.acquire().await.unwrap().forget();
    }
}

/// `/` and `/slow` respond with the name of the transport. `/slow` waits for the test first.
pub(crate) fn app(name: &'static str, signals: Signals) -> Router {
    let slow = async move || {
        signals.wait().await;
        name
    };
    Router::new()
        .route("/", get(async move || name))
        .route("/slow", get(slow))
        .route("/panic", get(panics))
        .route("/echo", get(echo))
}

/// `resume_unwind` does not call the panic hook, so nothing is printed.
async fn panics() {
    resume_unwind(Box::new("deliberate"));
}

/// Echoes on the upgraded connection.
async fn echo(mut request: Request<axum::body::Body>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let echoing = async {
        let (mut read, mut write) = io::split(TokioIo::new(upgrade.await.unwrap()));
        // The copy ends with the client or with the server.
        let _ = io::copy(&mut read, &mut write).await;
    };
    anyport::runtime::spawn(echoing).unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
