//! How a server shuts down: accepted requests get responses, idle connections close, and the grace
//! is kept.
use crate::{
    app::{BIG, HELLO, script::Script},
    client::{
        Client, get,
        h2::{receive, request, whole},
        post,
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        faulty_listener::{ListenerFault, Mode},
        retries::{retry_if_late, retry_if_late_with},
        upgraded::{assert_echo, upgraded},
    },
};
use anyport_core::observe::DrainReport;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

cases![
    stopped_listener_keeps_new_clients_out needs Stop,
    idle_server_ends_at_once,
    idle_connection_is_closed,
    fresh_connection_is_closed,
    request_in_flight_is_answered,
    partial_head_may_finish,
    upload_in_progress_may_finish,
    download_in_progress_may_finish,
    h2_request_in_flight_is_answered,
    h2_download_in_progress_may_finish,
    upgraded_connection_is_aborted_after_the_grace also cross_thread,
    request_in_lame_duck_stage_gets_connection_close,
    report_counts_each_connection_once also cross_thread,
    stuck_request_is_aborted_after_the_grace,
    zero_grace_aborts_at_once,
    second_shutdown_can_shorten_the_grace,
    second_shutdown_cannot_lengthen_the_grace,
    abort_closes_all_connections also cross_thread,
];

/// A grace that no case uses up. A peer gets a tenth of it to complete a message, which is enough.
pub(crate) const AMPLE: Duration = Duration::from_secs(60);
/// How long a client waits that a stopped listener keeps out. Enough for any transport.
const KEPT_OUT: Duration = Duration::from_secs(10);
/// Duration of the lame duck stage: idle connections may still send requests.
const LAME_DUCK: Duration = Duration::from_secs(1);

pub(crate) fn assert_report(
    report: DrainReport,
    completed: usize,
    aborted: usize,
    upgraded: usize,
) {
    let got = (report.completed, report.aborted, report.upgraded);
    assert_eq!(
        got,
        (completed, aborted, upgraded),
        "connections in the drain report: completed, aborted, upgraded"
    );
}

/// Asserts that the grace has passed, and not much more.
fn assert_in_time(begin: Instant, grace: Duration) {
    let elapsed = begin.elapsed();
    assert!(
        (grace..grace + AMPLE).contains(&elapsed),
        "expected the end after a grace of {grace:?}, got it after {elapsed:?}"
    );
}

/// Without connections there is no lame duck stage.
/// Without `stop`, clients that arrive between the last accept and the close of the listener are
/// lost. That happens seldom, so this case looks for the clients that `stop` lets in.
async fn stopped_listener_keeps_new_clients_out(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::StopsSlowly);
    let server = subject.faulty(Script::Echo, &mode);
    let ended = server.handle.shutdown(20 * AMPLE);
    while mode.count() < mode.workers() {
        sleep(Duration::from_millis(1)).await;
    }
    let a_client = async {
        let mut client = Client::new(subject.connect_lazily(server.endpoint()).await.ok()?);
        client.try_send("late").await.ok()?;
        client.exactly(4).await.ok()
    };
    // A client that is kept out is refused, or waits in vain.
    let echo = timeout(KEPT_OUT, a_client).await;
    assert!(
        !matches!(echo, Ok(Some(_))),
        "in a drain, the server called `Listener::stop` of each worker; a client that connected \
         afterwards was accepted and got its echo. Without `stop`, clients are lost that arrive \
         between the last accept and the close"
    );
    drop(server.handle.abort());
    ended.await.unwrap();
}

async fn idle_server_ends_at_once(subject: AnySubject) {
    retry_if_late_with(
        &[LAME_DUCK; 5],
        subject,
        |subject, lame_duck, timer| async move {
            let server = subject.serve();
            let begin = Instant::now();
            timer.restart();
            assert_report(server.handle.shutdown(AMPLE).await.unwrap(), 0, 0, 0);
            let elapsed = begin.elapsed();
            timer.step();
            assert!(elapsed < lame_duck, "{elapsed:?}");
        },
    )
    .await;
}

async fn idle_connection_is_closed(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    let ended = server.handle.shutdown(AMPLE);
    client.assert_closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn fresh_connection_is_closed(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    server.wait_for_connections(1).await;
    let ended = server.handle.shutdown(AMPLE);
    client.assert_closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn request_in_flight_is_answered(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/slow")).await;
    server.state.arrived().await;
    let ended = server.handle.shutdown(AMPLE);
    // Every worker has left the lame duck stage by then.
    server.wait_until_refusing().await;
    server.state.release();
    let response = client.response().await;
    assert_eq!(response.body, HELLO);
    assert!(response.closes(), "{response:?}");
    client.assert_closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn partial_head_may_finish(subject: AnySubject) {
    let server = subject.serve();
    let (mut first, mut second) = (server.client().await, server.client().await);
    assert_eq!(second.get("/").await.body, HELLO);
    let (begin, end) = ("GET / HTTP/1.1\r\nHo", "st: test\r\n\r\n");
    for client in [&mut first, &mut second] {
        client.send(begin).await;
    }
    server.wait_for_connections(2).await;
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    for client in [&mut first, &mut second] {
        client.send(end).await;
        let response = client.response().await;
        assert_eq!(response.body, HELLO);
        assert!(response.closes(), "{response:?}");
        client.assert_closed().await;
    }
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn upload_in_progress_may_finish(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(format!("{}hello", post("/len", 10))).await;
    server.wait_for_connections(1).await;
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    client.send("world").await;
    assert_eq!(client.response().await.body, "10");
    client.assert_closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn download_in_progress_may_finish(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/big")).await;
    assert_eq!(client.head().await.unwrap().status, 200);
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    let n = client.read_to_close().await.len();
    assert_eq!(n, BIG, "expected the whole body");
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn h2_request_in_flight_is_answered(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (waiting, _) = h2.begin(request("/slow"), true).await.unwrap();
    server.state.arrived().await;
    let ended = server.handle.shutdown(AMPLE);
    // Requests get responses until the GOAWAY arrives; after that the client sends none.
    let error = loop {
        match h2.try_get("/").await {
            Ok(response) => assert_eq!(response.body, HELLO),
            Err(error) => break error,
        }
    };
    assert!(
        error.is_go_away() && error.is_remote(),
        "expected a GOAWAY, got {error}"
    );
    server.state.release();
    assert_eq!(whole(waiting).await.unwrap().body, HELLO);
    h2.assert_closed().await;
    assert_report(ended.await.unwrap(), 1, 0, 0);
}

async fn h2_download_in_progress_may_finish(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (response, _) = h2.begin(request("/big"), true).await.unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut n = receive(&mut body).await.unwrap().unwrap().len();
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    while let Some(piece) = receive(&mut body).await.unwrap() {
        n += piece.len();
    }
    assert_eq!(n, BIG, "expected the whole body");
    h2.assert_closed().await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn upgraded_connection_is_aborted_after_the_grace(subject: AnySubject) {
    retry_if_late(subject, |subject, grace, timer| async move {
        let server = subject.serve();
        let mut client = upgraded(&server).await;
        let begin = Instant::now();
        timer.restart();
        let ended = server.handle.shutdown(grace);
        assert_echo(&mut client, "still served").await;
        timer.step();
        client.assert_closed().await;
        assert_report(ended.await.unwrap(), 0, 1, 1);
        assert_in_time(begin, grace);
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn request_in_lame_duck_stage_gets_connection_close(subject: AnySubject) {
    retry_if_late_with(&[LAME_DUCK; 3], subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut client = server.client().await;
        assert_eq!(client.get("/").await.body, HELLO);
        timer.restart();
        let ended = server.handle.shutdown(AMPLE);
        // The lame duck stage begins when the worker processes the shutdown.
        loop {
            client.send(get("/")).await;
            timer.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
        }
        client.assert_closed().await;
        assert_eq!(ended.await.unwrap().aborted, 0);
    })
    .await;
}

async fn report_counts_each_connection_once(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let server = subject.serve();
        let mut closed = server.client().await;
        assert_eq!(closed.get("/").await.body, HELLO);
        drop(closed);
        server.wait_for_connections(0).await;

        let (mut idle, mut fresh) = (server.client().await, server.client().await);
        assert_eq!(idle.get("/").await.body, HELLO);
        let mut answered = server.client().await;
        answered.send(get("/slow")).await;
        server.state.arrived().await;
        let mut stuck = server.client().await;
        stuck.send(get("/forever")).await;
        server.state.arrived().await;
        let mut h2 = server.h2().await;
        let (_stuck, _) = h2.begin(request("/forever"), true).await.unwrap();
        server.state.arrived().await;
        let upgraded = upgraded(&server).await;
        server.wait_for_connections(6).await;

        timer.restart();
        let begin = Instant::now();
        // A quarter of the grace is the lame duck stage.
        let ended = server.handle.shutdown(4 * short);
        idle.assert_closed().await;
        fresh.assert_closed().await;
        match begin.elapsed() > 2 * LAME_DUCK.min(short) {
            // The server is late, so its grace may be over by now.
            true => timer.step(),
            false => timer.restart(),
        }
        drop(upgraded);
        server.state.release();
        assert_eq!(answered.response().await.body, HELLO);
        answered.assert_closed().await;
        timer.step();
        let report = ended.await.unwrap();
        assert_report(report, 4, 2, 1);
        assert_eq!(
            report.to_string(),
            "drained: 4 completed, 2 aborted; 1 was upgraded"
        );
        stuck.assert_closed().await;
        h2.assert_closed().await;
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn stuck_request_is_aborted_after_the_grace(subject: AnySubject) {
    let grace = Duration::from_millis(400);
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(server.handle.shutdown(grace).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
    client.assert_closed().await;
    server.state.dropped().await;
}

async fn zero_grace_aborts_at_once(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(
        server.handle.shutdown(Duration::ZERO).await.unwrap(),
        0,
        1,
        0,
    );
    assert_in_time(begin, Duration::ZERO);
    client.assert_closed().await;
}

async fn second_shutdown_can_shorten_the_grace(subject: AnySubject) {
    let grace = Duration::from_millis(400);
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let first = server.handle.shutdown(2 * AMPLE);
    let begin = Instant::now();
    assert_report(server.handle.shutdown(grace).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
    assert_report(first.await.unwrap(), 0, 1, 0);
}

async fn second_shutdown_cannot_lengthen_the_grace(subject: AnySubject) {
    let grace = Duration::from_millis(400);
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(get("/forever")).await;
    server.state.arrived().await;
    let begin = Instant::now();
    drop(server.handle.shutdown(grace));
    assert_report(server.handle.shutdown(2 * AMPLE).await.unwrap(), 0, 1, 0);
    assert_in_time(begin, grace);
}

async fn abort_closes_all_connections(subject: AnySubject) {
    let server = subject.serve();
    let mut idle = server.client().await;
    assert_eq!(idle.get("/").await.body, HELLO);
    let mut client = upgraded(&server).await;
    let mut h2 = server.h2().await;
    let (_waiting, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    let begin = Instant::now();
    assert_report(server.handle.abort().await.unwrap(), 0, 3, 1);
    idle.assert_closed().await;
    client.assert_closed().await;
    h2.assert_closed().await;
    server.state.dropped().await;
    assert!(begin.elapsed() < AMPLE, "{:?}", begin.elapsed());
    server.wait_for_connections(0).await;
}
