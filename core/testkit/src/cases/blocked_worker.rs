//! A worker that is blocked, because the process was stopped or a handler computes for seconds.
//! Bytes that arrive in the meantime are in time.
use crate::{
    app::HELLO,
    client::{Client, get, post},
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use anyport_core::{HttpOptions, Timeouts};
use std::{collections::HashMap, time::Duration};

cases![
    head_received_while_worker_is_blocked_is_in_time,
    body_received_while_worker_is_blocked_is_in_time,
    request_received_while_worker_is_blocked_is_in_time,
    handler_released_while_worker_is_blocked_is_in_time,
];

/// Long enough for a client on a busy machine.
const DEADLINE: Duration = Duration::from_secs(2);
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
    let (server, mut client, mut blocking) = serve(&subject, |t| t.with_head(DEADLINE)).await;
    client.send("GET / HTTP/1.1\r\n").await;
    block_worker(&server, &mut blocking).await;
    client.send("Host: test\r\n\r\n").await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn body_received_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    let (server, mut client, mut blocking) = serve(&subject, |t| t.with_body_gap(DEADLINE)).await;
    client.send(format!("{}some", post("/len", 8))).await;
    block_worker(&server, &mut blocking).await;
    client.send("more").await;
    assert_eq!(client.response().await.body, "8");
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn request_received_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    let (server, mut client, mut blocking) = serve(&subject, |t| t.with_keep_alive(DEADLINE)).await;
    block_worker(&server, &mut blocking).await;
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn handler_released_while_worker_is_blocked_is_in_time(subject: AnySubject) {
    let (server, mut client, mut blocking) = serve(&subject, |t| t.with_request(DEADLINE)).await;
    client.send(get("/slow")).await;
    server.state.arrived().await;
    block_worker(&server, &mut blocking).await;
    server.state.release();
    assert_eq!(client.response().await.body, HELLO);
    // A handler that blocks cannot be stopped by its timeout.
    assert_eq!(blocking.head().await.unwrap().status, 200);
}
