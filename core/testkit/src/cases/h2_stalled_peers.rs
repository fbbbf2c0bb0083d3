//! HTTP/2 peers that keep a connection open without reading, without requests, or without answering
//! PINGs.
use crate::{
    app::HELLO,
    client::{
        Client,
        h2::{H2, request},
        h2_frames::{PING, PREFACE, SETTINGS_ACK, acknowledge_ping, next_frame},
    },
    harness::{
        any_subject::AnySubject, case::cases, retries::retry_if_late, test_server::TestServer,
    },
};
use anyport_core::Timeouts;
use bytes::BytesMut;
use h2::RecvStream;
use std::time::{Duration, Instant};
use tokio::{
    io::AsyncReadExt,
    time::{interval, timeout},
};

cases![
    stream_with_closed_window_is_reset,
    connection_with_complete_body_behind_closed_window_is_closed,
    pings_do_not_keep_a_connection_alive,
    unanswered_ping_does_not_prolong_a_drain,
];

const SHORT: Duration = Duration::from_millis(300);
/// How late a timeout may expire on a busy machine. Every other timeout is longer.
const SLACK: Duration = Duration::from_secs(20);

fn serve(subject: &AnySubject, timeouts: impl FnOnce(Timeouts) -> Timeouts) -> TestServer {
    let timeouts = timeouts(Timeouts::default());
    subject.serve_configured(|server| server.timeouts(timeouts))
}

/// The body of a response for which this client never opens the window.
async fn stalled_body(h2: &mut H2, path: &str) -> RecvStream {
    let (response, _) = h2.begin(request(path), true).await.unwrap();
    response.await.unwrap().into_body()
}

async fn stream_with_closed_window_is_reset(subject: AnySubject) {
    let server = serve(&subject, |t| t.with_write_stall(SHORT));
    let mut h2 = server.h2().await;
    assert_eq!(h2.get("/").await.body, HELLO);
    let begin = Instant::now();
    let mut body = stalled_body(&mut h2, "/stream").await;
    let error = loop {
        match body.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("expected a reset of the stream, got the end of an endless body"),
        }
    };
    let elapsed = begin.elapsed();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert!(
        elapsed >= SHORT * 9 / 10,
        "expected a reset after {SHORT:?}, got it after {elapsed:?}"
    );
    assert!(
        elapsed < SHORT + SLACK,
        "expected a reset after {SHORT:?}, got it after {elapsed:?}"
    );
    // Dropping the body returns its bytes to the connection's window.
    drop(body);
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / on the same connection, which must stay usable"
    );
}

/// The app has handed over the whole body, so no stream is left to reset. The connection is idle,
/// with bytes to send.
async fn connection_with_complete_body_behind_closed_window_is_closed(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = serve(&subject, |t| {
            t.with_write_stall(short).with_keep_alive(short)
        });
        let mut h2 = server.h2().await;
        let _body = stalled_body(&mut h2, "/big").await;
        timer.step();
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn pings_do_not_keep_a_connection_alive(subject: AnySubject) {
    let server = serve(&subject, |t| {
        t.with_keep_alive(SHORT).with_write_stall(SHORT)
    });
    // Together, their acknowledgements are as large as a response.
    for (at_once, answers) in [(1, true), (4, true), (8, true), (1, false)] {
        let mut client = server.raw_h2().await;
        client.send([PREFACE, SETTINGS_ACK].concat()).await;
        let closed = timeout(SLACK, pings(&mut client, at_once, answers)).await;
        closed.unwrap_or_else(|_| panic!("expected a close after the keep-alive timeout; {at_once} PINGs at once kept the connection open"));
        drop(client);
        server.wait_for_connections(0).await;
    }
}

/// Sends PINGs until the server closes. `answers`: acknowledges the server's PINGs.
async fn pings(client: &mut Client, at_once: usize, answers: bool) {
    let mut next = interval(SHORT / 5);
    let mut got = BytesMut::new();
    loop {
        tokio::select! {
            read = client.io.read_buf(&mut got) => if matches!(read, Ok(0) | Err(_)) {
                return;
            },
            _ = next.tick() => client.send(PING.repeat(at_once)).await,
        }
        while let Some(frame) = next_frame(&mut got) {
            if answers {
                acknowledge_ping(client, &frame).await;
            }
        }
    }
}

/// The peer does not acknowledge the PING that follows the GOAWAY.
async fn unanswered_ping_does_not_prolong_a_drain(subject: AnySubject) {
    let grace = Duration::from_secs(20);
    let server = subject.serve();
    let mut client = server.raw_h2().await;
    client.send([PREFACE, SETTINGS_ACK].concat()).await;
    // The frame header of the server's SETTINGS: both ends speak HTTP/2 now.
    client.exactly(9).await.unwrap();
    let begin = Instant::now();
    let report = server.handle.shutdown(grace).await.unwrap();
    assert!(begin.elapsed() < grace * 3 / 4, "{:?}", begin.elapsed());
    assert_eq!((report.completed, report.aborted), (1, 0));
}
