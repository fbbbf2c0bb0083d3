//! A hibernating connection is treated like any other: it is counted, times out, drains, and ends
//! when its client disconnects.
use crate::{
    app::HELLO,
    cases::hibernation::{assert_clean_close, hibernating_client, serve, serve_configured},
    client::{Client, get, shut_down_write},
    harness::{
        any_subject::AnySubject,
        case::cases,
        retries::{retry_if_late, retry_if_late_with},
    },
};
use anyport_core::{Limits, Timeouts, observe::DrainReport};
use std::time::{Duration, Instant};
use tokio::time::sleep;

cases![
    client_close_ends_hibernating_connection,
    client_half_close_ends_hibernating_connection needs HalfClose,
    keep_alive_timeout_closes_hibernating_connection,
    age_limit_closes_hibernating_connection,
    aged_resumed_connection_gets_connection_close,
    drain_answers_resumed_connection_with_connection_close,
    drain_closes_hibernating_connection,
    drain_lets_partial_pipelined_head_finish,
    abort_closes_hibernating_connection,
    hibernating_connection_holds_its_permit,
];

/// A grace that no case uses up. A peer gets a tenth of it to complete a message, which is enough.
const AMPLE: Duration = Duration::from_secs(60);
/// Duration of the lame duck stage: idle connections may still send requests.
const LAME_DUCK: Duration = Duration::from_secs(1);

fn assert_completed(report: DrainReport, connections: usize) {
    let got = (report.completed, report.aborted);
    assert_eq!(
        got,
        (connections, 0),
        "connections in the drain report: completed, aborted"
    );
}

async fn client_close_ends_hibernating_connection(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(hibernating_client(&server, &counters).await);
    }
    server.wait_for_connections(20).await;
    clients.truncate(7);
    server.wait_for_connections(7).await;
    drop(clients);
    server.wait_for_connections(0).await;
}

async fn client_half_close_ends_hibernating_connection(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    for _ in 0..5 {
        let mut client = hibernating_client(&server, &counters).await;
        shut_down_write(&mut client.io).await;
        assert_clean_close(&mut client).await;
        server.wait_for_connections(0).await;
    }
}

async fn keep_alive_timeout_closes_hibernating_connection(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let timeouts = Timeouts::default().with_keep_alive(short);
        let (server, counters) = serve_configured(&subject, |server| server.timeouts(timeouts));
        let mut client = hibernating_client(&server, &counters).await;
        let begin = Instant::now();
        client.send(get("/")).await;
        timer.step();
        assert_eq!(client.response().await.body, HELLO);
        assert_clean_close(&mut client).await;
        let elapsed = begin.elapsed();
        assert!(
            (short..short + AMPLE).contains(&elapsed),
            "expected a close after {short:?}, got it after {elapsed:?}"
        );
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn age_limit_closes_hibernating_connection(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let timeouts = Timeouts::default().with_age(short);
        let (server, counters) = serve_configured(&subject, |server| server.timeouts(timeouts));
        let begin = Instant::now();
        let mut client = server.client().await;
        client.send(get("/")).await;
        timer.step();
        assert_eq!(client.response().await.body, HELLO);
        tokio::select! {
            biased;
            () = counters.hibernated() => {}
            // A server that is late closes without hibernation. The step until now is long then.
            () = assert_clean_close(&mut client) => panic!("closed before it hibernated"),
        }
        assert_clean_close(&mut client).await;
        let elapsed = begin.elapsed();
        assert!(
            (short..short + AMPLE).contains(&elapsed),
            "expected a close after {short:?}, got it after {elapsed:?}"
        );
        server.wait_for_connections(0).await;
    })
    .await;
}

async fn aged_resumed_connection_gets_connection_close(subject: AnySubject) {
    retry_if_late(subject, |subject, short, timer| async move {
        let timeouts = Timeouts::default().with_age(short);
        let (server, counters) = serve_configured(&subject, |server| server.timeouts(timeouts));
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
                begin.elapsed() < short + AMPLE,
                "no `Connection: close` long after the age limit of {short:?}"
            );
            // The connection hibernates in between; the sleep does not wait for an event.
            sleep(short / 50).await;
        }
        assert_clean_close(&mut client).await;
        let elapsed = begin.elapsed();
        assert!(
            elapsed >= short,
            "expected `Connection: close` after {short:?}, got it after {elapsed:?}"
        );
        assert!(counters.hibernations() > 0);
    })
    .await;
}

async fn drain_answers_resumed_connection_with_connection_close(subject: AnySubject) {
    retry_if_late_with(&[LAME_DUCK; 3], subject, |subject, _, timer| async move {
        let (server, counters) = serve(&subject);
        let mut client = hibernating_client(&server, &counters).await;
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
            counters.hibernated().await;
        }
        assert_clean_close(&mut client).await;
        assert_completed(ended.await.unwrap(), 1);
    })
    .await;
}

async fn drain_closes_hibernating_connection(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut clients = [
        hibernating_client(&server, &counters).await,
        hibernating_client(&server, &counters).await,
    ];
    let begin = Instant::now();
    let ended = server.handle.shutdown(AMPLE);
    for client in &mut clients {
        assert_clean_close(client).await;
    }
    assert_completed(ended.await.unwrap(), 2);
    let elapsed = begin.elapsed();
    assert!(
        (LAME_DUCK..AMPLE).contains(&elapsed),
        "expected a close after the lame duck stage and before the end of the grace, got it after {elapsed:?}"
    );
    server.wait_for_connections(0).await;
}

/// The partial head was read together with the request before it.
async fn drain_lets_partial_pipelined_head_finish(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    let (begin, end) = ("GET /host HTTP/1.1\r\nHo", "st: test\r\n\r\n");
    client.send(format!("{}{begin}", get("/"))).await;
    assert_eq!(client.response().await.body, HELLO);
    let ended = server.handle.shutdown(AMPLE);
    server.wait_until_refusing().await;
    client.send(end).await;
    let response = client.response().await;
    assert_eq!(response.body, "test");
    assert!(response.closes(), "{response:?}");
    assert_clean_close(&mut client).await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn abort_closes_hibernating_connection(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    let report = server.handle.abort().await.unwrap();
    assert_eq!((report.completed, report.aborted), (0, 1));
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn hibernating_connection_holds_its_permit(subject: AnySubject) {
    let limits = Limits::default().with_connections(1);
    let (server, counters) = serve_configured(&subject, |server| server.limits(limits));
    let mut first = hibernating_client(&server, &counters).await;
    let waiting = {
        let (subject, endpoint) = (subject.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(
                subject
                    .connect(&endpoint)
                    .await
                    .expect("the client must connect, possibly after a wait"),
            );
            client.get("/host").await.body
        })
    };
    for _ in 0..50 {
        assert_eq!(first.get("/").await.body, HELLO);
        counters.hibernated().await;
        assert_eq!(server.handle.connections(), 1);
        assert!(
            !waiting.is_finished(),
            "a client was served although a hibernating connection holds the only permit"
        );
    }
    drop(first);
    assert_eq!(waiting.await.unwrap(), "test");
    server.wait_for_connections(0).await;
}
