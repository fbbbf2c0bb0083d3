//! Long-running handlers take part in the drain over every transport, and none of them is aborted.
use crate::{
    TIMEOUT, WEB_SOCKET,
    client::{Client, Version, get},
    draining::router,
    expect_frame, head,
    servers::{TRANSPORTS, TestServer},
};
use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use std::sync::Arc;
use tokio::{io::AsyncReadExt, sync::Semaphore, time::timeout};

/// The close frame: its status and its reason.
const CLOSE: &[u8] = b"\x88\x1d\x03\xe9the server is shutting down";

/// The example's router, and a semaphore with a permit for each request to `/poll` that has come.
fn counting_router() -> (Router, Arc<Semaphore>) {
    let polls = Arc::new(Semaphore::new(0));
    let counted = Arc::clone(&polls);
    let layer = from_fn(move |request: Request, next: Next| {
        if request.uri().path() == "/poll" {
            counted.add_permits(1);
        }
        next.run(request)
    });
    (router().layer(layer), polls)
}

async fn assert_handlers_end(name: &str, served: TestServer, polls: &Semaphore) {
    let mut events = Client::connect(&served, Version::Http1).await;
    let body = events.begin(&get("/events")).await.into_body();
    let mut h2 = Client::connect(&served, Version::Http2).await;
    let h2_body = h2.begin(&get("/events")).await.into_body();
    let mut polling = Client::connect(&served, Version::Http1).await;
    let mut socket = served.connect(Version::Http1).await;
    crate::send(&mut socket, WEB_SOCKET.as_bytes()).await;
    assert!(
        head(&mut socket).await.starts_with("HTTP/1.1 101 "),
        "{name}"
    );

    let poll_ends = async {
        let response = polling.send(&get("/poll")).await;
        assert_eq!(response.text(), "try again on another server", "{name}");
        drop(polling);
    };
    let events_end = async {
        for body in [body, h2_body] {
            // Reads to the end without an error.
            body.collect().await.unwrap();
        }
        drop((events, h2));
    };
    let socket_closes = async {
        expect_frame(&mut socket, CLOSE).await;
        crate::send(&mut socket, b"\x88\x82\0\0\0\0\x03\xe9").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    let drain = async {
        // A drain closes a connection whose request has not come.
        polls.acquire().await.unwrap().forget();
        served.drain().await;
    };
    let all = async { tokio::join!(poll_ends, events_end, socket_closes, drain) };
    timeout(TIMEOUT, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_end_in_a_drain_over_every_transport() {
    let by_anyport = TRANSPORTS
        .iter()
        .filter(|(name, ..)| !name.starts_with("axum::serve"));
    join_all(by_anyport.map(async |(name, _, serve)| {
        let (router, polls) = counting_router();
        assert_handlers_end(name, serve(router).started(), &polls).await;
    }))
    .await;
}
