//! Workers and their listeners: no client is lost between them, and the app of a worker stays on
//! its thread.
use crate::{
    app::{HELLO, local::LocalApp, script::Script},
    client::{Client, get},
    harness::{
        any_subject::AnySubject,
        case::cases,
        faulty_listener::{ListenerFault, Mode},
        retries::retry_if_late_with,
        test_server::TestServer,
        watch,
    },
};
use anyport_core::{Timeouts, error::ErrorKind};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    abandoned_poll_accept_loses_no_client,
    aborted_connections_do_not_block_accept under ACCEPT_ERRORS,
    accept_without_descriptors_backs_off under ACCEPT_ERRORS,
    broken_listener_ends_the_server_with_an_error under ACCEPT_ERRORS,
    panicking_listener_ends_the_server_with_an_error,
    stalled_handshake_does_not_block_accept under NEVER_WAITS,
    failed_handshakes_leak_nothing under ACCEPT_ERRORS,
    two_hundred_concurrent_clients_are_served,
    clients_that_send_nothing_are_not_polled under READABLE,
    spawned_task_outlives_its_connection,
    abort_of_one_server_leaves_another_serving,
    worker_that_cannot_listen_fails_the_start under START,
    worker_keeps_its_app_on_its_thread needs Local,
    worker_that_panics_at_start_fails_the_start needs Local,
];

/// Asserts that this many concurrent clients get their echo.
async fn assert_echoes_to(subject: &AnySubject, server: &TestServer, clients: u32) {
    let clients = (0..clients).map(|i| {
        let (subject, endpoint) = (subject.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(subject.connect(&endpoint).await.unwrap());
            client.try_send(i.to_be_bytes()).await.unwrap();
            assert_eq!(client.exactly(4).await.unwrap()[..], i.to_be_bytes());
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    server.wait_for_connections(0).await;
}

async fn abandoned_poll_accept_loses_no_client(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::AbandonedPolls);
    let server = subject.faulty(Script::Echo, &mode);
    assert_echoes_to(&subject, &server, 200).await;
    while mode.count() < 1000 {
        assert_echoes_to(&subject, &server, 1).await;
    }
}

async fn aborted_connections_do_not_block_accept(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::AbortedConnections);
    assert_echoes_to(&subject, &subject.faulty(Script::Echo, &mode), 100).await;
    assert!(mode.count() > 100);
}

async fn accept_without_descriptors_backs_off(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::None);
    let server = subject.faulty(Script::Echo, &mode);
    assert_echoes_to(&subject, &server, 1).await;
    let begin = Instant::now();
    mode.set(ListenerFault::OutOfDescriptors);
    let waiting = tokio::spawn({
        let (subject, endpoint) = (subject.clone(), server.endpoint().clone());
        async move {
            let mut client = Client::new(subject.connect(&endpoint).await.unwrap());
            client.try_send("here").await.unwrap();
            client.exactly(4).await.unwrap()
        }
    });
    while mode.count() < 4 {
        sleep(Duration::from_millis(1)).await;
    }
    // Each of two workers waits for 5, 10, 20, 40 ms and so on, up to a second. A loop that spins
    // makes thousands of attempts.
    sleep(Duration::from_millis(100)).await;
    let seconds = u32::try_from(begin.elapsed().as_secs()).unwrap();
    assert!(
        mode.count() < 20 + 2 * seconds,
        "expected a pause between failed accepts, got {} attempts",
        mode.count()
    );
    assert!(!waiting.is_finished());
    mode.set(ListenerFault::None);
    assert_eq!(waiting.await.unwrap(), "here");
    assert_echoes_to(&subject, &server, 50).await;
}

/// Asserts that the server ends with an error of this kind once a client connects.
async fn assert_ends_with(subject: &AnySubject, fault: ListenerFault, kind: ErrorKind) {
    let mode = Mode::new(ListenerFault::None);
    let server = subject.faulty(Script::Echo, &mode);
    assert_echoes_to(subject, &server, 1).await;
    mode.set(fault);
    // The client may be accepted, or not even connect.
    let _ = subject.connect_lazily(server.endpoint()).await;
    let error = server
        .handle
        .wait()
        .await
        .expect_err("expected the server to end with an error");
    assert_eq!(error.kind(), kind, "{error}");
    // The other workers shut down, too.
    server.wait_until_refusing().await;
}

async fn broken_listener_ends_the_server_with_an_error(subject: AnySubject) {
    assert_ends_with(&subject, ListenerFault::Broken, ErrorKind::Accept).await;
}

async fn panicking_listener_ends_the_server_with_an_error(subject: AnySubject) {
    assert_ends_with(&subject, ListenerFault::Panics, ErrorKind::Worker).await;
}

async fn stalled_handshake_does_not_block_accept(subject: AnySubject) {
    // Three hundred clients must connect before the first handshake times out.
    let deadlines = [1, 5, 20].map(|s| Duration::from_secs(s) * watch::wait_factor());
    retry_if_late_with(&deadlines, subject, |subject, deadline, timer| async move {
        let mode = Mode::new(ListenerFault::StalledHandshakes);
        let server = subject.faulty_with_handshake_timeout(Script::Echo, &mode, deadline);
        let mut stalled = Vec::new();
        timer.restart();
        for _ in 0..300 {
            stalled.push(server.pending_client().await);
        }
        timer.step();
        server.wait_for_connections(300).await;
        mode.set(ListenerFault::None);
        let mut client = server.client().await;
        client.try_send("here").await.unwrap();
        assert_eq!(client.exactly(4).await.unwrap(), "here");
        assert!(
            server.handle.connections() > 300,
            "expected a new client beside 300 stalled handshakes"
        );
        timer.step();
        for client in &mut stalled {
            client.assert_closed().await;
        }
        server.wait_for_connections(1).await;
    })
    .await;
}

async fn failed_handshakes_leak_nothing(subject: AnySubject) {
    let mode = Mode::new(ListenerFault::FailedHandshakes);
    let server = subject.faulty(Script::Echo, &mode);
    for _ in 0..100 {
        server.pending_client().await.assert_closed().await;
    }
    server.wait_for_connections(0).await;
    mode.set(ListenerFault::None);
    assert_echoes_to(&subject, &server, 10).await;
}

async fn two_hundred_concurrent_clients_are_served(subject: AnySubject) {
    let server = subject.serve();
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(server.client().await);
    }
    for client in &mut clients {
        client.send(get("/")).await;
    }
    for client in &mut clients {
        assert_eq!(client.response().await.body, HELLO);
    }
    server.wait_for_connections(200).await;
    drop(clients);
    server.wait_for_connections(0).await;
}

async fn clients_that_send_nothing_are_not_polled(subject: AnySubject) {
    const SILENT: usize = 300;
    const REQUESTS: usize = 100;
    const HOUR: Duration = Duration::from_secs(3600);
    // No timeout ends while the clients connect.
    let timeouts = Timeouts::default().with_head(HOUR).with_keep_alive(HOUR);
    let (server, counters) = subject.serve_instrumented(|server| server.timeouts(timeouts));
    let mut silent = Vec::new();
    for i in 0..SILENT {
        let mut client = server.client().await;
        // Half of the clients send one byte.
        if i % 2 == 0 {
            client.send("G").await;
        }
        silent.push(client);
    }
    server.assert_serves_new_clients().await;
    server.wait_for_connections(SILENT).await;
    let mut client = server.client().await;
    let before = counters.polls();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    // A worker that checked every silent connection for each request would poll each of them that
    // often.
    let polls = counters.polls() - before;
    assert!(
        polls < 10 * REQUESTS + SILENT,
        "expected polls of one connection only, got {polls} polls for {REQUESTS} requests"
    );
    assert!(
        server.handle.connections() > SILENT,
        "expected all clients that send nothing to stay connected"
    );
}

/// `anyport_core::runtime::spawn`, which works on every runtime.
async fn spawned_task_outlives_its_connection(subject: AnySubject) {
    let server = subject.serve();
    for _ in 0..10 {
        assert_eq!(server.exchange(&get("/background")).await.body, HELLO);
        server.state.arrived().await;
        server.wait_for_connections(0).await;
        server.state.release();
        server.state.dropped().await;
    }
}

async fn abort_of_one_server_leaves_another_serving(subject: AnySubject) {
    let (first, second) = (subject.serve(), subject.serve());
    assert_eq!(first.exchange(&get("/")).await.body, HELLO);
    let mut client = second.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    first.handle.abort().await.unwrap();
    assert_eq!(client.get("/").await.body, HELLO);
    second.assert_serves_new_clients().await;
}

async fn worker_that_cannot_listen_fails_the_start(subject: AnySubject) {
    let server = subject.faulty_server(Script::Echo, &Mode::new(ListenerFault::CannotListen));
    let error = server
        .start()
        .expect_err("expected the start to fail, since a worker cannot listen");
    assert_eq!(error.kind(), ErrorKind::Start, "{error}");
}

async fn worker_that_panics_at_start_fails_the_start(subject: AnySubject) {
    let server = subject.local_server(LocalApp::failing);
    let error = server
        .start()
        .expect_err("expected the start to fail, since a worker panics");
    assert_eq!(error.kind(), ErrorKind::Worker, "{error}");
    assert!(error.to_string().contains("in make"), "{error}");
}

async fn worker_keeps_its_app_on_its_thread(subject: AnySubject) {
    let server = TestServer::start(
        &subject,
        subject.local_server(LocalApp::new),
        Arc::default(),
    );
    let mut seen: HashMap<String, Vec<u64>> = HashMap::new();
    let mut total = 0;
    for _ in 0..20 {
        let mut client = server.client().await;
        for _ in 0..5 {
            let body = client.get("/").await.body;
            let body = std::str::from_utf8(&body).unwrap();
            let (worker, count) = body.split_once(' ').unwrap();
            seen.entry(worker.to_owned())
                .or_default()
                .push(count.parse().unwrap());
            total += 1;
        }
        let mut h2 = server.h2().await;
        let body = h2.get("/").await.body;
        let body = std::str::from_utf8(&body).unwrap();
        let (worker, count) = body.split_once(' ').unwrap();
        seen.entry(worker.to_owned())
            .or_default()
            .push(count.parse().unwrap());
        total += 1;
    }
    // Each worker counted its own requests, without a gap.
    for (worker, counts) in &seen {
        let expected: Vec<_> = (1..=counts.len() as u64).collect();
        assert_eq!(
            counts, &expected,
            "the requests that worker {worker} counted"
        );
    }
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), total);
}
