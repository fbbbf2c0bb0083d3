//! Handlers that would go on for ever are told of the drain, over every transport: none of them is
//! cut off.
use crate::{
    PATIENCE, WEB_SOCKET,
    client::{Client, Version, get},
    draining::router,
    expect_frame, head,
    place::{Place, WAYS},
};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use tokio::{io::AsyncReadExt, time::timeout};

/// Its status, and the beginning of its reason.
const CLOSE: &[u8] = b"\x88\x1d\x03\xe9the server is shutting down";

async fn nobody_is_cut_off(name: &str, place: Place) {
    let mut events = Client::connect(&place, Version::Http1).await;
    let body = events.begin(&get("/events")).await.into_body();
    let mut h2 = Client::connect(&place, Version::Http2).await;
    let h2_body = h2.begin(&get("/events")).await.into_body();
    let mut polling = Client::connect(&place, Version::Http1).await;
    let mut socket = place.connect(Version::Http1).await;
    crate::send(&mut socket, WEB_SOCKET.as_bytes()).await;
    assert!(
        head(&mut socket).await.starts_with("HTTP/1.1 101 "),
        "{name}"
    );

    let polled = async {
        let answer = polling.ask(&get("/poll")).await;
        assert_eq!(answer.text(), "ask again, of somebody else", "{name}");
        drop(polling);
    };
    let ended = async {
        for body in [body, h2_body] {
            // To the end, which is no error.
            body.collect().await.unwrap();
        }
        drop((events, h2));
    };
    let closed = async {
        expect_frame(&mut socket, CLOSE).await;
        crate::send(&mut socket, b"\x88\x82\0\0\0\0\x03\xe9").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    let all = async { tokio::join!(polled, ended, closed, place.drain()) };
    timeout(PATIENCE, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_are_told_of_the_drain_over_every_transport() {
    let by_anyport = WAYS
        .iter()
        .filter(|(name, ..)| !name.starts_with("axum::serve"));
    join_all(by_anyport.map(async |(name, _, serve)| {
        nobody_is_cut_off(name, serve(router()).started()).await;
    }))
    .await;
}
