//! Upgraded connections that the app moves to a thread which is not their worker. They work there,
//! and end there as on their worker.
use crate::{
    app::{
        cross_thread::{MUCH, PING, ThreadOutcome},
        script::{HandlerThread, pattern},
    },
    cases::observer::Log,
    client::{
        Client,
        h2::{receive, send_all},
    },
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use anyport_core::{Limits, Timeouts};
use bytes::Bytes;
use std::{io, time::Duration};

cases![
    upgraded_connection_works_on_another_thread,
    drop_on_another_thread_closes_cleanly,
    bytes_written_before_drop_on_another_thread_arrive,
    stalled_peer_is_closed_after_drop_on_another_thread,
    panic_on_another_thread_closes_only_its_connection,
    unpolled_connection_on_another_thread_blocks_nothing,
    abort_fails_io_on_another_thread,
    many_connections_on_another_thread_leak_nothing,
    h2_tunnel_works_on_another_thread,
    h2_tunnel_dropped_on_another_thread_leaves_connection_usable,
];

/// A server with a limit of one connection: the next client is served once the last permit was
/// returned.
fn serve(subject: &AnySubject) -> (TestServer, Log) {
    let log = Log::default();
    let (limits, observer) = (Limits::default().with_connections(1), log.clone());
    let server = subject.serve_configured(|server| server.limits(limits).observer(observer));
    (server, log)
}

async fn upgraded(server: &TestServer, path: &str) -> Client {
    let mut client = server.client().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    );
    client.send(request).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    client
}

/// The results of the other thread.
async fn outcome(server: &TestServer) -> ThreadOutcome {
    server.state.arrived().await;
    server.state.thread_outcome().await
}

/// Asserts that the client, the connection count, the limit and the observer all see the end, and
/// that the server continues.
async fn assert_ended(mut client: Client, server: &TestServer, log: &Log, nth: u32) {
    client.assert_closed().await;
    server.wait_for_connections(0).await;
    assert_eq!(log.upgraded(), (nth, Vec::new()));
    assert_eq!(server.client().await.get("/").await.status, 200);
    server.wait_for_connections(0).await;
    log.assert_complete(2 * nth as usize);
}

async fn upgraded_connection_works_on_another_thread(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for nth in 1..=3 {
        let mut client = upgraded(&server, "/thread/echo").await;
        client.send(PING).await;
        let outcome = outcome(&server).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        assert_eq!(client.exactly(PING.len()).await.unwrap(), PING);
        assert_ended(client, &server, &log, nth).await;
    }
}

/// The bytes arrive, as they do if the connection is dropped on its worker.
async fn bytes_written_before_drop_on_another_thread_arrive(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let mut client = upgraded(&server, "/thread/write-and-drop").await;
    // The client reads slowly, and the writer has dropped the connection by then.
    let all = client.exactly(MUCH).await.unwrap();
    assert!(
        all[..] == pattern(MUCH),
        "expected exactly the bytes that were sent, in order"
    );
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    assert_ended(client, &server, &log, 1).await;
}

/// The connection is closed after `write_stall`, although its peer is still connected.
async fn stalled_peer_is_closed_after_drop_on_another_thread(subject: AnySubject) {
    let timeouts = Timeouts::default().with_write_stall(Duration::from_secs(1));
    let server = subject.serve_configured(|server| server.timeouts(timeouts));
    let _client = upgraded(&server, "/thread/stall-and-drop").await;
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    server.wait_for_connections(0).await;
    server.assert_serves_new_clients().await;
}

async fn panic_on_another_thread_closes_only_its_connection(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let client = upgraded(&server, "/thread/panic").await;
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    assert_ended(client, &server, &log, 1).await;
}

/// The client sends as much as the server accepts, while others are served. The shutdown does not
/// wait for this connection.
async fn unpolled_connection_on_another_thread_blocks_nothing(subject: AnySubject) {
    let server = subject.serve();
    let (mut write, _read) = upgraded(&server, "/thread/keep").await.split();
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    let sending =
        tokio::spawn(async move { while write.try_send([0; 64 * 1024]).await.is_ok() {} });
    for _ in 0..20 {
        server.assert_serves_new_clients().await;
    }
    server.wait_for_connections(1).await;
    let report = server.handle.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!((report.aborted, report.upgraded), (1, 1));
    drop(server.state.kept_upgraded.lock().unwrap().take());
    sending.await.unwrap();
}

async fn abort_fails_io_on_another_thread(subject: AnySubject) {
    let server = subject.serve();
    let mut client = upgraded(&server, "/thread/wait").await;
    server.state.arrived().await;
    server.handle.abort().await.unwrap();
    for error in server.state.thread_outcome().await.map(Result::unwrap_err) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
    }
    client.assert_closed().await;
}

async fn many_connections_on_another_thread_leak_nothing(subject: AnySubject) {
    const MANY: usize = 500;
    let server = subject.on(HandlerThread::Other).serve();
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(upgraded(&server, "/upgrade").await);
    }
    for client in &mut clients {
        client.send(PING).await;
    }
    for client in &mut clients {
        assert_eq!(client.exactly(PING.len()).await.unwrap(), PING);
    }
    server.wait_for_connections(MANY).await;
    drop(clients);
    server.wait_for_connections(0).await;
    server.assert_serves_new_clients().await;
}

async fn drop_on_another_thread_closes_cleanly(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for nth in 1..=3 {
        let client = upgraded(&server, "/thread/drop").await;
        let outcome = outcome(&server).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        assert_ended(client, &server, &log, nth).await;
    }
}

/// A stream of HTTP/2 is not bound to a thread; its connection stays on the worker.
async fn h2_tunnel_works_on_another_thread(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/thread/echo").await.unwrap();
    send_all(&mut send, Bytes::from(PING), false).await.unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), PING);
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    assert_eq!(
        h2.get("/").await.status,
        200,
        "GET / on the same connection, which must stay usable"
    );
}

async fn h2_tunnel_dropped_on_another_thread_leaves_connection_usable(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    let (send, mut receiving) = h2.connect("/thread/drop").await.unwrap();
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    // Either EOF or a reset.
    assert!(!matches!(receive(&mut receiving).await, Ok(Some(_))));
    assert_eq!(
        h2.get("/").await.status,
        200,
        "GET / on the same connection, which must stay usable"
    );
    drop((send, receiving));
    h2.connection.abort();
    server.wait_for_connections(0).await;
}
