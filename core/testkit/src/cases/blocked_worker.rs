//! A worker that is blocked, because the process was stopped or a handler computes for seconds.
//! Bytes that arrive in the meantime are in time.
use crate::{
    app::HELLO,
    client::{Client, get, post},
    harness::{
        any_subject::AnySubject, case::cases, retries::retry_if_late_with, test_server::TestServer,
    },
};
use anyport_core::{HttpOptions, Timeouts};
use std::{collections::HashMap, time::Duration};

cases![
    head_received_while_worker_is_blocked_is_in_time,
    body_received_while_worker_is_blocked_is_in_time,
    request_received_while_worker_is_blocked_is_in_time,
    handler_released_while_worker_is_blocked_is_in_time,
];

/// Long enough for most clients on a busy machine. An attempt with a slower one proves nothing.
const DEADLINES: &[Duration] = &[Duration::from_secs(2); 5];
/// How many milliseconds a handler blocks its worker: longer than the timeout.
const BLOCKED: u64 = 3_000;

/// A server, and two clients of the same worker, each with one response received.
async fn serve(
    subject: &AnySubject,
    timeouts: impl FnOnce(Timeouts) -> Timeouts,
) -> (TestServer, Client, Client) {
    let timeouts = timeouts(Timeouts::default());
    let http = HttpOptions::default().with_conn_info();
    let server = subject.serve_configured(|server| server.timeouts(timeouts).http(http));
    let mut clients: HashMap<String, Client> = HashMap::new();
    loop {
        let mut client = server.client().await;
        let worker = worker_of(&mut client).await;
        if let Some(other) = clients.insert(worker.clone(), client) {
            let client = clients.remove(&worker).expect("just inserted");
            return (server, client, other);
        }
    }
}

/// The worker that serves this client.
async fn worker_of(client: &mut Client) -> String {
    let info = client.get("/info").await.body;
    let info = String::from_utf8(info.to_vec()).unwrap();
    info.split(' ').nth(1).expect("the worker").to_owned()
}

/// Starts a handler that blocks its worker.
async fn block_worker(server: &TestServer, client: &mut Client) {
    client.send(get(&format!("/block/{BLOCKED}"))).await;
    server.state.arrived().await;
}

async fn head_received_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    retry_if_late_with(DEADLINES, subject, |subject, deadline, timer| async move {
        let (server, mut client, mut blocking) = serve(&subject, |t| t.with_head(deadline)).await;
        timer.restart();
        client.send("GET / HTTP/1.1\r\n").await;
        block_worker(&server, &mut blocking).await;
        client.send("Host: test\r\n\r\n").await;
        timer.step();
        assert_eq!(blocking.response().await.body, HELLO);
        timer.restart();
        assert_eq!(client.response().await.body, HELLO);
    })
    .await;
}

async fn body_received_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    retry_if_late_with(DEADLINES, subject, |subject, deadline, timer| async move {
        let (server, mut client, mut blocking) =
            serve(&subject, |t| t.with_body_gap(deadline)).await;
        timer.restart();
        client.send(format!("{}some", post("/len", 8))).await;
        block_worker(&server, &mut blocking).await;
        client.send("more").await;
        timer.step();
        assert_eq!(blocking.response().await.body, HELLO);
        timer.restart();
        assert_eq!(client.response().await.body, "8");
    })
    .await;
}

async fn request_received_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    retry_if_late_with(DEADLINES, subject, |subject, deadline, timer| async move {
        let (server, mut client, mut blocking) =
            serve(&subject, |t| t.with_keep_alive(deadline)).await;
        block_worker(&server, &mut blocking).await;
        client.send(get("/")).await;
        timer.step();
        assert_eq!(blocking.response().await.body, HELLO);
        timer.restart();
        assert_eq!(client.response().await.body, HELLO);
    })
    .await;
}

async fn handler_released_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    retry_if_late_with(DEADLINES, subject, |subject, deadline, timer| async move {
        let (server, mut client, mut blocking) =
            serve(&subject, |t| t.with_request(deadline)).await;
        timer.restart();
        client.send(get("/slow")).await;
        server.state.arrived().await;
        block_worker(&server, &mut blocking).await;
        server.state.release();
        timer.step();
        // A handler that blocks cannot be stopped by its timeout.
        assert_eq!(blocking.head().await.unwrap().status, 200);
        timer.restart();
        assert_eq!(client.response().await.body, HELLO);
    })
    .await;
}
