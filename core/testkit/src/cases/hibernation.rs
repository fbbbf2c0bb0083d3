//! Idle HTTP/1 connections hibernate: they release their buffers, and resume when their client
//! sends again. Clients see no difference.
use crate::{
    app::{HELLO, script::pattern},
    client::{Client, get},
    harness::{
        any_subject::AnySubject, case::cases, instrumented::Counters, retries::retry_if_late,
        test_server::TestServer,
    },
};
use anyport_core::{HttpOptions, Server};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    idle_connection_hibernates_by_default,
    active_connection_does_not_hibernate,
    connection_answers_after_each_hibernation,
    h2_connection_does_not_hibernate,
    connection_never_hibernates_if_disabled,
];

/// A duration that no case reaches.
const AMPLE: Duration = Duration::from_secs(20);
/// The default of `hibernate_after`.
const DEFAULT: Duration = Duration::from_millis(200);

/// A server whose connections hibernate after each response.
pub(crate) fn serve(subject: &AnySubject) -> (TestServer, Arc<Counters>) {
    serve_configured(subject, |server| server)
}

pub(crate) fn serve_configured(
    subject: &AnySubject,
    configure: impl FnOnce(Server) -> Server,
) -> (TestServer, Arc<Counters>) {
    subject.serve_instrumented(|server| {
        configure(server.http(HttpOptions::default().with_hibernate_after(Duration::ZERO)))
    })
}

/// A client whose connection hibernates.
pub(crate) async fn hibernating_client(server: &TestServer, counters: &Counters) -> Client {
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    counters.hibernated().await;
    client
}

/// Asserts that the server ends the connection with a FIN, without a reset and without another
/// byte.
pub(crate) async fn assert_clean_close(client: &mut Client) {
    let error = client
        .try_response()
        .await
        .expect_err("expected the end of the connection, since no request was sent");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    client.assert_closed().await;
}

async fn idle_connection_hibernates_by_default(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let mut client = server.client().await;
    for requests in [1, 2] {
        let begin = Instant::now();
        client.send(get("/").repeat(requests)).await;
        for _ in 0..requests {
            assert_eq!(client.response().await.body, HELLO);
        }
        counters.hibernated().await;
        let elapsed = begin.elapsed();
        // After its first request, a connection hibernates earlier.
        let earliest = if requests == 1 { DEFAULT / 40 } else { DEFAULT };
        assert!(
            (earliest..AMPLE).contains(&elapsed),
            "expected hibernation after {earliest:?} with {requests} requests, got it after {elapsed:?}"
        );
    }
    server.wait_for_connections(1).await;
}

async fn active_connection_does_not_hibernate(subject: AnySubject) {
    retry_if_late(subject, |subject, idle, timer| async move {
        let (server, counters) = subject.serve_instrumented(|server| {
            server.http(HttpOptions::default().with_hibernate_after(idle))
        });
        let mut client = server.client().await;
        // After a single request, the connection would hibernate earlier.
        client.send(get("/").repeat(2)).await;
        for _ in 0..2 {
            assert_eq!(client.response().await.body, HELLO);
        }
        timer.step();
        let begin = Instant::now();
        while begin.elapsed() < idle + idle / 4 {
            // Time must pass; the sleep does not wait for an event.
            sleep(idle / 20).await;
            assert_eq!(client.get("/").await.body, HELLO);
            timer.step();
        }
        assert_eq!(counters.hibernations(), 0);
    })
    .await;
}

async fn connection_answers_after_each_hibernation(subject: AnySubject) {
    for idle in [Duration::ZERO, Duration::from_millis(1)] {
        let (server, counters) = subject.serve_instrumented(|server| {
            server.http(HttpOptions::default().with_hibernate_after(idle))
        });
        let mut client = server.client().await;
        for length in [0, 1, 13, 5000, 300_000] {
            for _ in 0..10 {
                let response = client.get(&format!("/bytes/{length}")).await;
                assert!(
                    response.body == pattern(length),
                    "expected {length} bytes, unchanged and in order"
                );
                counters.hibernated().await;
            }
        }
        // A server that had sent one response too many would be detected here.
        client
            .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(client.response().await.body, HELLO);
        assert_clean_close(&mut client).await;
    }
}

async fn h2_connection_does_not_hibernate(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut h2 = server.h2().await;
    for _ in 0..20 {
        assert_eq!(h2.get("/").await.body, HELLO);
        // Time must pass; the sleep does not wait for an event.
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(counters.hibernations(), 0);
    server.wait_for_connections(1).await;
    // A connection of HTTP/1 does hibernate.
    hibernating_client(&server, &counters).await;
}

async fn connection_never_hibernates_if_disabled(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| {
        server.http(HttpOptions::default().with_hibernate_after(Duration::MAX))
    });
    let mut client = server.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.body, HELLO);
        // Time must pass; the sleep does not wait for an event.
        sleep(2 * DEFAULT).await;
    }
    assert_eq!(counters.hibernations(), 0);
    drop(client);
    server.wait_for_connections(0).await;
}
