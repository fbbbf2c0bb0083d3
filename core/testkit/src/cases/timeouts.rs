//! Peers that are slow or send nothing. Timeouts run on the real clock. They never expire early,
//! and not much too late.
use crate::{
    app::{BIG, HELLO},
    client::{
        Client, get,
        h2::{receive, request},
        post,
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        retries::{ClientTimer, retry_if_late},
        test_server::TestServer,
    },
};
use anyport_core::{HttpOptions, Timeouts, protocol::HttpVersions};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    client_that_sends_nothing_is_closed,
    trickled_head_is_closed,
    trickled_second_head_is_closed,
    incomplete_preface_is_closed,
    incomplete_preface_is_closed_by_http_2_only_server,
    idle_connection_is_closed,
    idle_h2_connection_is_closed,
    h2_connection_without_requests_is_closed,
    incomplete_pipelined_head_is_closed,
    slow_handler_is_not_idle,
    slow_download_is_not_idle,
    slow_h2_download_is_not_idle,
    slow_upload_is_not_idle,
    request_renews_the_keep_alive_timeout,
];

/// A timeout for clients that send nothing.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);
/// How late a timeout may expire on a busy machine. Every other timeout is longer.
const SLACK: Duration = Duration::from_secs(20);

fn serve(subject: &AnySubject, head: Duration, keep_alive: Duration) -> TestServer {
    let timeouts = Timeouts::default()
        .with_head(head)
        .with_keep_alive(keep_alive);
    subject.serve_configured(|server| server.timeouts(timeouts))
}

/// Asserts that the server closes after its timeout, and not before.
async fn assert_closed_after(begin: Instant, deadline: Duration, closed: impl Future<Output = ()>) {
    closed.await;
    let elapsed = begin.elapsed();
    assert!(
        elapsed >= deadline * 9 / 10,
        "expected a close after {deadline:?}, got it after {elapsed:?}"
    );
    assert!(
        elapsed < deadline + SLACK,
        "expected a close after {deadline:?}, got it after {elapsed:?}"
    );
}

async fn client_that_sends_nothing_is_closed(subject: AnySubject) {
    let server = serve(&subject, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    assert_closed_after(begin, SHORT, client.assert_closed()).await;
    server.wait_for_connections(0).await;
}

/// Sends a byte now and then until the server closes.
async fn trickle(client: Client, pause: Duration) {
    let (mut sender, mut receiver) = client.split();
    let sends = async {
        for byte in "slowly".bytes().cycle() {
            sender.send([byte]).await;
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = sends => {}
        () = receiver.assert_closed() => {}
    }
}

async fn trickled_head_is_closed(subject: AnySubject) {
    let server = serve(&subject, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\nX: ").await;
    assert_closed_after(begin, SHORT, trickle(client, SHORT / 20)).await;
    server.wait_for_connections(0).await;
}

async fn trickled_second_head_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, LONG);
        let mut client = server.client().await;
        assert_first_answer(&mut client, &timer).await;
        let begin = Instant::now();
        client.send("GET / HTTP/1.1\r\nX: ").await;
        assert_closed_after(begin, short, trickle(client, short / 20)).await;
        server.wait_for_connections(0).await;
    })
    .await;
}

/// The head timeout starts when the client connects.
async fn assert_first_answer(client: &mut Client, timer: &ClientTimer) {
    client.send(get("/")).await;
    timer.step();
    assert_eq!(client.response().await.body, HELLO);
}

async fn incomplete_preface_is_closed(subject: AnySubject) {
    let server = serve(&subject, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("PRI * HTTP/2.0\r\n").await;
    assert_closed_after(begin, SHORT, client.assert_closed()).await;
}

/// The head timeout applies, not the keep-alive timeout.
async fn incomplete_preface_is_closed_by_http_2_only_server(subject: AnySubject) {
    let timeouts = Timeouts::default().with_head(SHORT).with_keep_alive(LONG);
    let only = HttpOptions::default().with_versions(HttpVersions::Http2);
    let server = subject.serve_configured(|server| server.timeouts(timeouts).http(only));
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("P").await;
    assert_closed_after(begin, SHORT, client.assert_closed()).await;
    server.wait_for_connections(0).await;
}

async fn idle_connection_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, LONG, short);
        let mut client = server.client().await;
        assert_first_answer(&mut client, &timer).await;
        let begin = Instant::now();
        assert_first_answer(&mut client, &timer).await;
        assert_closed_after(begin, short, client.assert_closed()).await;
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn idle_h2_connection_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, LONG, short);
        let mut h2 = server.h2().await;
        let begin = Instant::now();
        let (response, _) = h2.begin(request("/"), true).await.unwrap();
        timer.step();
        assert_eq!(response.await.unwrap().status(), 200);
        assert_closed_after(begin, short, h2.assert_closed()).await;
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn h2_connection_without_requests_is_closed(subject: AnySubject) {
    let server = serve(&subject, LONG, SHORT);
    let begin = Instant::now();
    let h2 = server.h2().await;
    assert_closed_after(begin, SHORT, h2.assert_closed()).await;
    server.wait_for_connections(0).await;
}

async fn slow_handler_is_not_idle(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let mut h1 = server.client().await;
        h1.send(get("/slow")).await;
        timer.step();
        server.state.arrived().await;
        timer.restart();
        let mut h2 = server.h2().await;
        let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
        timer.step();
        server.state.arrived().await;
        // Both timeouts expire for clients that send nothing.
        for _ in 0..2 {
            server.client().await.assert_closed().await;
        }
        server.state.release();
        server.state.release();
        assert_eq!(h1.response().await.body, HELLO);
        assert_eq!(waiting.await.unwrap().status(), 200);
    })
    .await;
}

async fn slow_download_is_not_idle(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(get("/big")).await;
        timer.step();
        assert_eq!(client.head().await.unwrap().status, 200);
        let mut left = BIG;
        while left > 0 {
            let piece = left.min(BIG / 16);
            let got = client.exactly(piece).await;
            got.unwrap_or_else(|e| {
                panic!("expected {BIG} bytes; the download failed after {:?} with {left} bytes missing: {e}", begin.elapsed())
            });
            left -= piece;
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(short / 4).await;
        }
        assert!(begin.elapsed() > 3 * short);
    })
    .await;
}

async fn slow_upload_is_not_idle(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let mut client = server.client().await;
        client.send(post("/len", 16)).await;
        timer.step();
        for byte in [b'x'; 16] {
            client.send([byte]).await;
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(short / 4).await;
        }
        assert_eq!(client.response().await.body, "16");
    })
    .await;
}

/// Its beginning arrived in one read with the request before it, so either timeout may apply.
async fn incomplete_pipelined_head_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let begin = Instant::now();
        let mut client = server.client().await;
        client
            .send(format!("{}GET / HTTP/1.1\r\nX: ", get("/")))
            .await;
        timer.step();
        assert_eq!(client.response().await.body, HELLO);
        assert_closed_after(begin, short, client.assert_closed()).await;
    })
    .await;
}

async fn slow_h2_download_is_not_idle(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let mut h2 = server.h2().await;
        let begin = Instant::now();
        let (response, _) = h2.begin(request("/big"), true).await.unwrap();
        timer.step();
        let mut body = response.await.unwrap().into_body();
        let mut pieces = 0;
        let mut got = 0;
        while let Some(piece) = receive(&mut body).await.unwrap_or_else(|e| {
            panic!("expected {BIG} bytes; the download failed after {got}: {e}")
        }) {
            got += piece.len();
            timer.step();
            if got > pieces * BIG / 16 {
                pieces += 1;
                // The client is slow on purpose; the sleep does not wait for an event.
                sleep(short / 4).await;
            }
        }
        assert_eq!(got, BIG);
        assert!(begin.elapsed() > 3 * short);
    })
    .await;
}

async fn request_renews_the_keep_alive_timeout(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, short, short);
        let mut client = server.client().await;
        let begin = Instant::now();
        while begin.elapsed() < 3 * short {
            client.send(get("/")).await;
            timer.step();
            let response = client.try_response().await;
            let response = response.unwrap_or_else(|e| {
                panic!(
                    "expected a kept-alive connection; it failed after {:?}: {e}",
                    begin.elapsed()
                )
            });
            assert_eq!(response.body, HELLO);
            // The client pauses on purpose; the sleep does not wait for an event.
            sleep(short / 10).await;
        }
    })
    .await;
}
