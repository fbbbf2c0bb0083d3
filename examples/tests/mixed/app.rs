//! The app: it says which part it is, waits, echoes, and panics, as it's asked to.
use anyport::{Body, Request, Response, StatusCode, TokioIo, header};
use axum::{Router, routing::get};
use std::{panic::resume_unwind, sync::Arc};
use tokio::{io, sync::Semaphore};

/// What a test and its apps tell each other, from whatever runtime to whatever other.
#[derive(Clone)]
pub(crate) struct Signals {
    /// A permit for each request that waits, once it does.
    arrived: Arc<Semaphore>,
    /// A permit for each request that may be answered.
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

    /// Ready when so many requests wait.
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

/// `/` and `/slow` answer the name of the part; `/slow` waits before, until it's released.
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

/// It's no news to anybody, so the panic hook isn't told.
async fn panics() {
    resume_unwind(Box::new("deliberate"));
}

/// Echoes on what the connection becomes.
async fn echo(mut request: Request<axum::body::Body>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut request);
    let echoing = async {
        let (mut read, mut write) = io::split(TokioIo::new(upgrade.await.unwrap()));
        // It ends with the client, or with the server.
        let _ = io::copy(&mut read, &mut write).await;
    };
    anyport::spawn(echoing).unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
