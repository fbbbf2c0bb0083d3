//! Peers and apps that stall in the middle of a message, and connections that reach their age
//! limit.
use crate::{
    app::HELLO,
    client::{
        get,
        h2::{receive, request, whole},
        post,
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        retries::retry_if_late,
        test_server::TestServer,
        upgraded::{assert_echo, upgraded},
    },
};
use anyport_core::{
    HttpOptions, Timeouts,
    error::{BoxError, ErrorKind},
};
use http::StatusCode;
use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    peer_that_reads_nothing_is_closed,
    h2_peer_that_reads_nothing_is_closed,
    stalled_body_is_an_error_for_the_app,
    h2_stalled_body_is_an_error_for_the_app,
    trickled_body_is_read,
    upload_after_its_response_is_not_idle,
    end_of_upload_after_its_response_reaches_the_app,
    stalled_upload_after_its_response_is_closed,
    slow_app_becomes_504,
    h2_slow_app_becomes_504,
    slow_response_body_is_not_a_504,
    aged_connection_gets_connection_close,
    aged_h2_connection_gets_goaway,
    aged_idle_connection_is_closed,
    request_in_flight_on_aged_connection_is_answered,
    upgraded_connection_has_no_age_limit,
    zero_timeout_fails_the_start,
];

/// The timeout for cases whose client has no deadline to meet.
const SHORT: Duration = Duration::from_millis(300);
/// How late a timeout may expire on a busy machine. No other timeout that can expire in a case is
/// this short.
const SLACK: Duration = Duration::from_secs(20);

fn serve(subject: &AnySubject, timeouts: impl FnOnce(Timeouts) -> Timeouts) -> TestServer {
    let http = HttpOptions::default().with_error_status(status_of);
    let timeouts = timeouts(Timeouts::default());
    subject.serve_configured(|server| server.timeouts(timeouts).http(http))
}

/// The status of the response after an error: 408 after a timeout.
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
    assert!(
        elapsed >= deadline * 9 / 10,
        "expected the timeout after {deadline:?}, got it after {elapsed:?}"
    );
    assert!(
        elapsed < deadline + SLACK,
        "expected the timeout after {deadline:?}, got it after {elapsed:?}"
    );
}

async fn peer_that_reads_nothing_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_write_stall(short));
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(get("/stream")).await;
        timer.restart();
        assert_eq!(client.head().await.unwrap().status, 200);
        timer.step();
        server.wait_for_connections(0).await;
        assert_in_time(begin, short);
        server.assert_serves_new_clients().await;
    })
    .await;
}

async fn h2_peer_that_reads_nothing_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_write_stall(short));
        let mut h2 = server.h2().await;
        // The streams have open windows, so that the connection stalls and not a stream.
        let mut streams = Vec::new();
        for _ in 0..3 {
            let (response, _) = h2.begin(request("/stream"), true).await.unwrap();
            streams.push(response.await.unwrap().into_body());
            timer.step();
        }
        assert!(receive(&mut streams[0]).await.unwrap().is_some());
        // The task of the client reads no more.
        h2.connection.abort();
        timer.step();
        server.wait_for_connections(0).await;
        server.assert_serves_new_clients().await;
    })
    .await;
}

async fn stalled_body_is_an_error_for_the_app(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_body_gap(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    client.send(format!("{}hello", post("/len", 10))).await;
    assert_eq!(client.response().await.status, 408);
    assert_in_time(begin, SHORT);
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn h2_stalled_body_is_an_error_for_the_app(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_body_gap(SHORT));
    let mut h2 = server.h2().await;
    let begin = Instant::now();
    let (response, mut send) = h2.begin(request("/len"), false).await.unwrap();
    // An error means that the client was too late already; the response is the same.
    let _ = send.send_data("hello".into(), false);
    assert_eq!(whole(response).await.unwrap().status, 408);
    assert_in_time(begin, SHORT);
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / on the same connection, which must stay usable"
    );
}

async fn trickled_body_is_read(subject: AnySubject) {
    retry_if_late(subject, |subject, gap, timer| async move {
        let server = serve(&subject, |t| t.with_body_gap(gap));
        let mut client = server.client().await;
        let begin = Instant::now();
        client.send(post("/len", 20)).await;
        for _ in 0..20 {
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(gap / 16).await;
            client.send("x").await;
            timer.step();
        }
        assert_eq!(client.response().await.body, "20");
        assert!(begin.elapsed() > gap);
    })
    .await;
}

/// The connection is not idle, and no head is expected.
async fn upload_after_its_response_is_not_idle(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_head(short).with_keep_alive(short));
        let mut client = server.client().await;
        client.send(post("/accepted", 10)).await;
        timer.step();
        assert_eq!(client.response().await.body, HELLO);
        let begin = Instant::now();
        for _ in 0..10 {
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(short / 5).await;
            client.send("x").await;
        }
        server.state.uploaded(10).await;
        assert!(begin.elapsed() > short);
    })
    .await;
}

/// The app sees the end of the body when it arrives, not with the next request.
async fn end_of_upload_after_its_response_reaches_the_app(subject: AnySubject) {
    let server = subject.serve();
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

async fn stalled_upload_after_its_response_is_closed(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_body_gap(SHORT));
    let begin = Instant::now();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/accepted", 10))).await;
    assert_eq!(client.response().await.body, HELLO);
    server.state.uploaded(5).await;
    client.assert_closed().await;
    assert_in_time(begin, SHORT);
    server.wait_for_connections(0).await;
}

async fn slow_app_becomes_504(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_request(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    let response = client.get("/forever").await;
    assert_eq!(response.status, 504);
    assert_in_time(begin, SHORT);
    server.state.dropped().await;
    if response.closes() {
        client.assert_closed().await;
    } else {
        assert_eq!(client.get("/").await.body, HELLO);
    }
}

async fn h2_slow_app_becomes_504(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_request(SHORT));
    let mut h2 = server.h2().await;
    let begin = Instant::now();
    assert_eq!(h2.get("/forever").await.status, 504);
    assert_in_time(begin, SHORT);
    server.state.dropped().await;
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / on the same connection, which must stay usable"
    );
}

/// The timeout covers the head of the response, not its body.
async fn slow_response_body_is_not_a_504(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_request(SHORT));
    let mut client = server.client().await;
    let begin = Instant::now();
    client.send(get("/stream")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    while begin.elapsed() < 2 * SHORT {
        client
            .exactly(100_000)
            .await
            .expect("expected more of the endless body");
    }
}

async fn aged_connection_gets_connection_close(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_age(short));
        let begin = Instant::now();
        let mut client = server.client().await;
        loop {
            client.send(get("/")).await;
            timer.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
            assert!(
                begin.elapsed() < short + SLACK,
                "no `Connection: close` long after the age limit of {short:?}"
            );
        }
        assert_in_time(begin, short);
        client.assert_closed().await;
        server.assert_serves_new_clients().await;
    })
    .await;
}

async fn aged_h2_connection_gets_goaway(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_age(short));
        let begin = Instant::now();
        let mut h2 = server.h2().await;
        let error = loop {
            timer.step();
            match h2.try_get("/").await {
                Ok(response) => assert_eq!(response.body, HELLO),
                Err(error) => break error,
            }
            assert!(
                begin.elapsed() < short + SLACK,
                "no GOAWAY long after the age limit of {short:?}"
            );
        };
        assert!(
            error.is_go_away() && error.is_remote(),
            "expected a GOAWAY, got {error}"
        );
        assert_in_time(begin, short);
        h2.assert_closed().await;
        server.assert_serves_new_clients().await;
    })
    .await;
}

async fn aged_idle_connection_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_age(short));
        let begin = Instant::now();
        let (mut h1, mut h2) = (server.client().await, server.h2().await);
        assert_eq!(h1.get("/").await.body, HELLO);
        assert_eq!(h2.get("/").await.body, HELLO);
        timer.step();
        h1.assert_closed().await;
        h2.assert_closed().await;
        assert_in_time(begin, short);
    })
    .await;
}

async fn request_in_flight_on_aged_connection_is_answered(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| t.with_age(short));
        let (mut h1, mut h2) = (server.client().await, server.h2().await);
        h1.send(get("/slow")).await;
        server.state.arrived().await;
        let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
        server.state.arrived().await;
        timer.step();
        // This idle connection is younger than both busy ones.
        let mut other = server.client().await;
        assert_eq!(other.get("/").await.body, HELLO);
        timer.step();
        other.assert_closed().await;
        server.state.release();
        server.state.release();
        let response = h1.response().await;
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
        h1.assert_closed().await;
        assert_eq!(whole(waiting).await.unwrap().body, HELLO);
        h2.assert_closed().await;
    })
    .await;
}

async fn upgraded_connection_has_no_age_limit(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| {
            t.with_age(short).with_keep_alive(short).with_head(short)
        });
        let mut client = upgraded(&server).await;
        timer.step();
        for _ in 0..3 {
            // Time must pass; the sleep does not wait for an event.
            sleep(short).await;
            assert_echo(&mut client, "still here").await;
        }
    })
    .await;
}

async fn zero_timeout_fails_the_start(subject: AnySubject) {
    let timeouts: [fn(Timeouts) -> Timeouts; 4] = [
        |t| t.with_head(Duration::ZERO),
        |t| t.with_keep_alive(Duration::ZERO),
        |t| t.with_write_stall(Duration::ZERO),
        |t| t.with_age(Duration::ZERO),
    ];
    for change in timeouts {
        let server = subject.server().timeouts(change(Timeouts::default()));
        let error = server
            .start()
            .expect_err("these settings must fail the start");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(
            error.to_string().contains("Duration::MAX turns it off")
                || error.to_string().contains("`Duration::MAX`"),
            "{error}"
        );
    }
}
