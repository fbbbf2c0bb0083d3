//! Slow peers against short timeouts on the real clock. A timeout is never early, and not much too
//! late.
use crate::{
    app::{BIG, HELLO},
    client::{
        Client, get,
        h2::{receive, request},
        post,
    },
    harness::{
        attempts::{Pace, in_time},
        case::cases,
        running::Running,
        site::Site,
    },
};
use anyport_core::{HttpOptions, HttpVersions, Timeouts};
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    a_silent_client_is_closed,
    a_trickled_head_is_closed,
    a_trickled_second_head_is_closed,
    a_trickled_preface_is_closed,
    a_preface_begun_where_only_http_2_is_served_is_closed,
    an_idle_connection_is_closed,
    an_idle_h2_connection_is_closed,
    an_h2_connection_that_never_asks_is_closed,
    a_head_begun_behind_another_request_is_closed,
    a_slow_answer_is_no_idleness,
    a_slow_download_is_no_idleness,
    a_slow_h2_download_is_no_idleness,
    a_slow_upload_is_no_idleness,
    a_request_in_time_renews_the_deadline,
];

/// For clients that do nothing.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);
/// Far more than any scheduling takes, far less than any other deadline.
const SLACK: Duration = Duration::from_secs(20);

fn serve(site: &Site, head: Duration, keep_alive: Duration) -> Running {
    let timeouts = Timeouts::default()
        .with_head(head)
        .with_keep_alive(keep_alive);
    site.serve_as(|server| server.timeouts(timeouts))
}

/// The server closes at its deadline, not before.
async fn closes_in_time(begin: Instant, deadline: Duration, closed: impl Future<Output = ()>) {
    closed.await;
    let elapsed = begin.elapsed();
    assert!(
        elapsed >= deadline * 9 / 10,
        "closed too early: {elapsed:?}"
    );
    assert!(elapsed < deadline + SLACK, "closed too late: {elapsed:?}");
}

async fn a_silent_client_is_closed(site: Site) {
    let server = serve(&site, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    closes_in_time(begin, SHORT, client.closed()).await;
    server.settles(0).await;
}

/// Sends a byte now and then until the server has had enough.
async fn trickle(client: Client, pause: Duration) {
    let (mut sender, mut receiver) = client.split();
    let sends = async {
        for byte in "slowly".bytes().cycle() {
            sender.send([byte]).await;
            // Not to wait for anything: this client is slow by nature.
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = sends => {}
        () = receiver.closed() => {}
    }
}

async fn a_trickled_head_is_closed(site: Site) {
    let server = serve(&site, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\nX: ").await;
    closes_in_time(begin, SHORT, trickle(client, SHORT / 20)).await;
    server.settles(0).await;
}

async fn a_trickled_second_head_is_closed(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, LONG);
        let mut client = server.client().await;
        assert_first_answer(&mut client, &pace).await;
        let begin = Instant::now();
        client.send("GET / HTTP/1.1\r\nX: ").await;
        closes_in_time(begin, short, trickle(client, short / 20)).await;
        server.settles(0).await;
    })
    .await;
}

/// The deadline of a head begins when the client connects.
async fn assert_first_answer(client: &mut Client, pace: &Pace) {
    client.send(get("/")).await;
    pace.step();
    assert_eq!(client.response().await.body, HELLO);
}

async fn a_trickled_preface_is_closed(site: Site) {
    let server = serve(&site, SHORT, LONG);
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("PRI * HTTP/2.0\r\n").await;
    closes_in_time(begin, SHORT, client.closed()).await;
}

/// It owes the rest as it would owe a head; it's not idle.
async fn a_preface_begun_where_only_http_2_is_served_is_closed(site: Site) {
    let timeouts = Timeouts::default().with_head(SHORT).with_keep_alive(LONG);
    let only = HttpOptions::default().with_versions(HttpVersions::Http2);
    let server = site.serve_as(|server| server.timeouts(timeouts).http(only));
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send("P").await;
    closes_in_time(begin, SHORT, client.closed()).await;
    server.settles(0).await;
}

async fn an_idle_connection_is_closed(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, LONG, short);
        let mut client = server.client().await;
        assert_first_answer(&mut client, &pace).await;
        let begin = Instant::now();
        assert_first_answer(&mut client, &pace).await;
        closes_in_time(begin, short, client.closed()).await;
        server.settles(0).await;
    })
    .await;
}

async fn an_idle_h2_connection_is_closed(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, LONG, short);
        let mut h2 = server.h2().await;
        let begin = Instant::now();
        let (response, _) = h2.begin(request("/"), true).await.unwrap();
        pace.step();
        assert_eq!(response.await.unwrap().status(), 200);
        closes_in_time(begin, short, h2.closed()).await;
        server.settles(0).await;
    })
    .await;
}

async fn an_h2_connection_that_never_asks_is_closed(site: Site) {
    let server = serve(&site, LONG, SHORT);
    let begin = Instant::now();
    let h2 = server.h2().await;
    closes_in_time(begin, SHORT, h2.closed()).await;
    server.settles(0).await;
}

async fn a_slow_answer_is_no_idleness(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let mut h1 = server.client().await;
        h1.send(get("/slow")).await;
        pace.step();
        server.state.arrived().await;
        pace.rest();
        let mut h2 = server.h2().await;
        let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
        pace.step();
        server.state.arrived().await;
        // Both deadlines pass for somebody who's really silent.
        for _ in 0..2 {
            server.client().await.closed().await;
        }
        server.state.release();
        server.state.release();
        assert_eq!(h1.response().await.body, HELLO);
        assert_eq!(waiting.await.unwrap().status(), 200);
    })
    .await;
}

async fn a_slow_download_is_no_idleness(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(get("/big")).await;
        pace.step();
        assert_eq!(client.head().await.unwrap().status, 200);
        let mut left = BIG;
        while left > 0 {
            let piece = left.min(BIG / 16);
            let got = client.exactly(piece).await;
            got.unwrap_or_else(|e| {
                panic!("{left} bytes are missing after {:?}: {e}", begin.elapsed())
            });
            left -= piece;
            // Not to wait for anything: this client is slow by nature.
            sleep(short / 4).await;
        }
        assert!(begin.elapsed() > 3 * short);
    })
    .await;
}

async fn a_slow_upload_is_no_idleness(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let mut client = server.client().await;
        client.send(post("/len", 16)).await;
        pace.step();
        for byte in [b'x'; 16] {
            client.send([byte]).await;
            // Not to wait for anything: this client is slow by nature.
            sleep(short / 4).await;
        }
        assert_eq!(client.response().await.body, "16");
    })
    .await;
}

/// Its beginning came in one read with the request before it, so it may count as idleness: what
/// matters is that it ends.
async fn a_head_begun_behind_another_request_is_closed(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let begin = Instant::now();
        let mut client = server.client().await;
        client
            .send(format!("{}GET / HTTP/1.1\r\nX: ", get("/")))
            .await;
        pace.step();
        assert_eq!(client.response().await.body, HELLO);
        closes_in_time(begin, short, client.closed()).await;
    })
    .await;
}

async fn a_slow_h2_download_is_no_idleness(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let mut h2 = server.h2().await;
        let begin = Instant::now();
        let (response, _) = h2.begin(request("/big"), true).await.unwrap();
        pace.step();
        let mut body = response.await.unwrap().into_body();
        let mut pieces = 0;
        let mut got = 0;
        while let Some(piece) = receive(&mut body)
            .await
            .unwrap_or_else(|e| panic!("after {got} bytes: {e}"))
        {
            got += piece.len();
            pace.step();
            if got > pieces * BIG / 16 {
                pieces += 1;
                // Not to wait for anything: this client is slow by nature.
                sleep(short / 4).await;
            }
        }
        assert_eq!(got, BIG);
        assert!(begin.elapsed() > 3 * short);
    })
    .await;
}

async fn a_request_in_time_renews_the_deadline(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, short, short);
        let mut client = server.client().await;
        let begin = Instant::now();
        while begin.elapsed() < 3 * short {
            client.send(get("/")).await;
            pace.step();
            let response = client.try_response().await;
            let response = response.unwrap_or_else(|e| panic!("after {:?}: {e}", begin.elapsed()));
            assert_eq!(response.body, HELLO);
            // Not to wait for anything: this client asks now and then.
            sleep(short / 10).await;
        }
    })
    .await;
}
