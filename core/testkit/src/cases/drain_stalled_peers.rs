//! A drain while peers have stopped sending in the middle of a message.
use crate::{
    client::{get, h2::request, post},
    harness::{any_subject::AnySubject, case::cases},
};
use anyport_core::Timeouts;
use std::time::{Duration, Instant};

cases![
    peers_stalled_in_a_head_do_not_prolong_a_drain,
    peers_stalled_in_a_body_do_not_prolong_a_drain,
];

/// Such a peer gets a tenth of the grace.
const GRACE: Duration = Duration::from_secs(30);
/// Far more than that tenth, far less than the whole grace.
const SOON: Duration = Duration::from_secs(20);

/// No timeout but the drain's expires during the test.
const NEVER: Duration = Duration::from_secs(600);

async fn peers_stalled_in_a_head_do_not_prolong_a_drain(subject: AnySubject) {
    let timeouts = Timeouts::default().with_head(NEVER);
    let server = subject.serve_configured(|server| server.timeouts(timeouts));
    let mut first = server.client().await;
    first.send("GET / HTTP/1.1\r\nHo").await;
    let mut second = server.client().await;
    second.get("/").await;
    second.send("GET / HTTP/1.1\r\nHo").await;
    let mut pipelined = server.client().await;
    pipelined.send(format!("{}GET / HT", get("/"))).await;
    pipelined.response().await;
    let mut preface = server.client().await;
    preface.send("PRI * HT").await;
    server.wait_for_connections(4).await;
    let begin = Instant::now();
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!((report.stalled, report.aborted), (4, 0), "{report}");
}

async fn peers_stalled_in_a_body_do_not_prolong_a_drain(subject: AnySubject) {
    let timeouts = Timeouts::default().with_body_gap(NEVER);
    let server = subject.serve_configured(|server| server.timeouts(timeouts));
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
    // Both requests are with the app. A drain would close connections whose request has not begun.
    server.state.arrived().await;
    server.state.arrived().await;
    let begin = Instant::now();
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!((report.stalled, report.aborted), (3, 0), "{report}");
}
