//! A drain while peers are silent in the middle of a request.
use crate::{
    client::{get, h2::request, post},
    harness::{case::cases, site::Site},
};
use anyport_core::Timeouts;
use std::time::{Duration, Instant};

cases![
    peers_silent_in_a_head_do_not_hold_up_a_drain,
    peers_silent_in_a_body_do_not_hold_up_a_drain,
];

/// A tenth of it is what such a peer gets.
const GRACE: Duration = Duration::from_secs(30);
/// Far more than that tenth, far less than the rest.
const SOON: Duration = Duration::from_secs(20);

/// No deadline but the drain's own is over meanwhile.
const NEVER: Duration = Duration::from_secs(600);

async fn peers_silent_in_a_head_do_not_hold_up_a_drain(site: Site) {
    let timeouts = Timeouts::default().with_head(NEVER);
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let mut first = server.client().await;
    first.send("GET / HTTP/1.1\r\nHo").await;
    let mut second = server.client().await;
    second.get("/").await;
    second.send("GET / HTTP/1.1\r\nHo").await;
    let mut behind = server.client().await;
    behind.send(format!("{}GET / HT", get("/"))).await;
    behind.response().await;
    let mut preface = server.client().await;
    preface.send("PRI * HT").await;
    server.settles(4).await;
    let begin = Instant::now();
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!((report.stalled, report.aborted), (4, 0), "{report}");
}

async fn peers_silent_in_a_body_do_not_hold_up_a_drain(site: Site) {
    let timeouts = Timeouts::default().with_body_gap(NEVER);
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let mut unanswered = server.client().await;
    unanswered
        .send(format!("{}hello", post("/arrives", 10)))
        .await;
    let mut answered = server.client().await;
    answered
        .send(format!("{}hello", post("/accepted", 10)))
        .await;
    answered.response().await;
    server.state.uploaded(5).await;
    let mut h2 = server.h2().await;
    let (_response, mut send) = h2.begin(request("/arrives"), false).await.unwrap();
    send.send_data("hello".into(), false).unwrap();
    // Both are with the app: a drain closes what has not begun yet.
    server.state.arrived().await;
    server.state.arrived().await;
    let begin = Instant::now();
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!((report.stalled, report.aborted), (3, 0), "{report}");
}
