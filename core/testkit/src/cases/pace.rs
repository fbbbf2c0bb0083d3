//! Peers and apps that are slow in the middle of a request, and connections that reach their
//! maximum age.
use crate::{
    app::HELLO,
    client::{
        get,
        h2::{receive, request, whole},
        post,
    },
    harness::{
        attempts::in_time,
        case::cases,
        running::Running,
        site::Site,
        upgraded::{echoes, upgraded},
    },
};
use anyport_core::{BoxError, ErrorKind, HttpOptions, Timeouts};
use http::StatusCode;
use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    a_peer_that_reads_nothing_is_cut_off,
    an_h2_peer_that_reads_nothing_is_cut_off,
    a_body_that_stops_is_an_error_for_the_app,
    an_h2_body_that_stops_is_an_error_for_the_app,
    a_body_that_trickles_is_read,
    an_upload_goes_on_after_its_response,
    an_upload_ends_after_its_response,
    an_upload_that_stops_after_its_response_is_given_up,
    an_app_that_takes_too_long_is_a_504,
    an_h2_app_that_takes_too_long_is_a_504,
    a_response_that_takes_its_time_is_no_504,
    an_old_connection_is_told_to_leave,
    an_old_h2_connection_is_told_to_leave,
    an_old_idle_connection_is_closed,
    a_request_in_flight_outlives_its_connection,
    an_upgraded_connection_does_not_age,
    a_timeout_of_zero_is_an_error_at_start,
];

/// Where no client has to be faster.
const SHORT: Duration = Duration::from_millis(300);
/// Far more than any scheduling takes, far less than any other deadline.
const SLACK: Duration = Duration::from_secs(20);

fn serve(site: &Site, timeouts: impl FnOnce(Timeouts) -> Timeouts) -> Running {
    let http = HttpOptions::default().with_error_status(status_of);
    let timeouts = timeouts(Timeouts::default());
    site.serve_as(|server| server.timeouts(timeouts).http(http))
}

/// 408, if it's about a peer that took too long.
fn status_of(error: &BoxError) -> StatusCode {
    let mut error: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(e) = error {
        if e.downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
        {
            return StatusCode::REQUEST_TIMEOUT;
        }
        error = e.source();
    }
    StatusCode::INTERNAL_SERVER_ERROR
}

fn assert_in_time(begin: Instant, deadline: Duration) {
    let elapsed = begin.elapsed();
    assert!(elapsed >= deadline * 9 / 10, "too early: {elapsed:?}");
    assert!(elapsed < deadline + SLACK, "too late: {elapsed:?}");
}

async fn a_peer_that_reads_nothing_is_cut_off(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_write_stall(short));
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(get("/stream")).await;
        pace.rest();
        assert_eq!(client.head().await.unwrap().status, 200);
        pace.step();
        server.settles(0).await;
        assert_in_time(begin, short);
        server.serves_others().await;
    })
    .await;
}

async fn an_h2_peer_that_reads_nothing_is_cut_off(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_write_stall(short));
        let mut h2 = server.h2().await;
        // As much as the peer wants: it's the connection that's stalled, not a stream.
        let mut streams = Vec::new();
        for _ in 0..3 {
            let (response, _) = h2.begin(request("/stream"), true).await.unwrap();
            streams.push(response.await.unwrap().into_body());
            pace.step();
        }
        assert!(receive(&mut streams[0]).await.unwrap().is_some());
        // The client's own task reads no more.
        h2.connection.abort();
        pace.step();
        server.settles(0).await;
        server.serves_others().await;
    })
    .await;
}

async fn a_body_that_stops_is_an_error_for_the_app(site: Site) {
    let server = serve(&site, |t| t.with_body_gap(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    client.send(format!("{}hello", post("/len", 10))).await;
    assert_eq!(client.response().await.status, 408);
    assert_in_time(begin, SHORT);
    client.closed().await;
    server.settles(0).await;
}

async fn an_h2_body_that_stops_is_an_error_for_the_app(site: Site) {
    let server = serve(&site, |t| t.with_body_gap(SHORT));
    let mut h2 = server.h2().await;
    let begin = Instant::now();
    let (response, mut send) = h2.begin(request("/len"), false).await.unwrap();
    // An error says that the client was too late already: it's the same answer then.
    let _ = send.send_data("hello".into(), false);
    assert_eq!(whole(response).await.unwrap().status, 408);
    assert_in_time(begin, SHORT);
    assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
}

async fn a_body_that_trickles_is_read(site: Site) {
    in_time(site, |site, gap, pace| async move {
        let server = serve(&site, |t| t.with_body_gap(gap));
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(post("/len", 20)).await;
        for _ in 0..20 {
            // Not to wait for anything: this client is slow by nature.
            sleep(gap / 16).await;
            client.send("x").await;
            pace.step();
        }
        assert_eq!(client.response().await.body, "20");
        assert!(begin.elapsed() > gap);
    })
    .await;
}

/// The connection isn't idle, and no head is owed.
async fn an_upload_goes_on_after_its_response(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_head(short).with_keep_alive(short));
        let mut client = server.client().await;
        client.send(post("/accepted", 10)).await;
        pace.step();
        assert_eq!(client.response().await.body, HELLO);
        let begin = Instant::now();
        for _ in 0..10 {
            // Not to wait for anything: this client is slow by nature.
            sleep(short / 5).await;
            client.send("x").await;
        }
        server.state.uploaded(10).await;
        assert!(begin.elapsed() > short);
    })
    .await;
}

/// The app is told of the end when it's there, not with the next request.
async fn an_upload_ends_after_its_response(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    let chunked = "POST /accepted HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, body) in [
        (chunked, "5\r\nhello\r\n0\r\n\r\n"),
        (&*post("/accepted", 5), "hello"),
    ] {
        client.send(head).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(body).await;
        server.state.uploaded(5).await;
        server.state.dropped().await;
    }
    assert_eq!(client.get("/").await.body, HELLO);
}

async fn an_upload_that_stops_after_its_response_is_given_up(site: Site) {
    let server = serve(&site, |t| t.with_body_gap(SHORT));
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/accepted", 10))).await;
    assert_eq!(client.response().await.body, HELLO);
    server.state.uploaded(5).await;
    client.closed().await;
    assert_in_time(begin, SHORT);
    server.settles(0).await;
}

async fn an_app_that_takes_too_long_is_a_504(site: Site) {
    let server = serve(&site, |t| t.with_request(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    let response = client.get("/forever").await;
    assert_eq!(response.status, 504);
    assert_in_time(begin, SHORT);
    server.state.dropped().await;
    if response.closes() {
        client.closed().await;
    } else {
        assert_eq!(client.get("/").await.body, HELLO);
    }
}

async fn an_h2_app_that_takes_too_long_is_a_504(site: Site) {
    let server = serve(&site, |t| t.with_request(SHORT));
    let mut h2 = server.h2().await;
    let begin = Instant::now();
    assert_eq!(h2.get("/forever").await.status, 504);
    assert_in_time(begin, SHORT);
    server.state.dropped().await;
    assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
}

/// The deadline is about the head of a response, not about its body.
async fn a_response_that_takes_its_time_is_no_504(site: Site) {
    let server = serve(&site, |t| t.with_request(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    client.send(get("/stream")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    while begin.elapsed() < 2 * SHORT {
        client.exactly(100_000).await.expect("more of the body");
    }
}

async fn an_old_connection_is_told_to_leave(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_age(short));
        let begin = Instant::now();
        let mut client = server.client().await;
        loop {
            client.send(get("/")).await;
            pace.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
            assert!(begin.elapsed() < short + SLACK, "never told");
        }
        assert_in_time(begin, short);
        client.closed().await;
        server.serves_others().await;
    })
    .await;
}

async fn an_old_h2_connection_is_told_to_leave(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_age(short));
        let begin = Instant::now();
        let mut h2 = server.h2().await;
        let told = loop {
            pace.step();
            match h2.try_get("/").await {
                Ok(response) => assert_eq!(response.body, HELLO),
                Err(error) => break error,
            }
            assert!(begin.elapsed() < short + SLACK, "never told");
        };
        assert!(told.is_go_away() && told.is_remote(), "{told}");
        assert_in_time(begin, short);
        h2.closed().await;
        server.serves_others().await;
    })
    .await;
}

async fn an_old_idle_connection_is_closed(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_age(short));
        let begin = Instant::now();
        let (mut h1, mut h2) = (server.client().await, server.h2().await);
        assert_eq!(h1.get("/").await.body, HELLO);
        assert_eq!(h2.get("/").await.body, HELLO);
        pace.step();
        h1.closed().await;
        h2.closed().await;
        assert_in_time(begin, short);
    })
    .await;
}

async fn a_request_in_flight_outlives_its_connection(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_age(short));
        let (mut h1, mut h2) = (server.client().await, server.h2().await);
        h1.send(get("/slow")).await;
        server.state.arrived().await;
        let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
        server.state.arrived().await;
        pace.step();
        // Younger than both, and idle.
        let mut other = server.client().await;
        assert_eq!(other.get("/").await.body, HELLO);
        pace.step();
        other.closed().await;
        server.state.release();
        server.state.release();
        let response = h1.response().await;
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
        h1.closed().await;
        assert_eq!(whole(waiting).await.unwrap().body, HELLO);
        h2.closed().await;
    })
    .await;
}

async fn an_upgraded_connection_does_not_age(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| {
            t.with_age(short).with_keep_alive(short).with_head(short)
        });
        let mut client = upgraded(&server).await;
        pace.step();
        for _ in 0..3 {
            // Not to wait for anything: time has to pass.
            sleep(short).await;
            echoes(&mut client, "still here").await;
        }
    })
    .await;
}

async fn a_timeout_of_zero_is_an_error_at_start(site: Site) {
    let timeouts: [fn(Timeouts) -> Timeouts; 4] = [
        |t| t.with_head(Duration::ZERO),
        |t| t.with_keep_alive(Duration::ZERO),
        |t| t.with_write_stall(Duration::ZERO),
        |t| t.with_age(Duration::ZERO),
    ];
    for change in timeouts {
        let server = site.server().timeouts(change(Timeouts::default()));
        let error = server.start().expect_err("no such server");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.to_string().contains("Duration::MAX turns it off")
                || error.to_string().contains("`Duration::MAX`"),
            "{error}"
        );
    }
}
