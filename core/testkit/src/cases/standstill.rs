//! A blocked worker: bytes that peers sent in time are not late when it continues.
use crate::{
    app::HELLO,
    client::{Client, get, post},
    harness::{case::cases, running::Running, site::Site},
};
use anyport_core::{HttpOptions, Timeouts};
use std::{collections::HashMap, time::Duration};

cases![
    a_head_that_came_while_the_worker_stood_still_is_answered,
    a_body_that_came_while_the_worker_stood_still_is_read,
    a_request_that_came_while_the_worker_stood_still_finds_its_connection,
    a_handler_that_was_done_while_the_worker_stood_still_answers,
];

/// A client on a busy machine is still in time.
const DEADLINE: Duration = Duration::from_secs(2);
/// So many milliseconds does a handler keep its worker: until the deadline is over.
const BLOCKED: u64 = 3_000;

/// A server, and two clients of one worker, each of which has been answered once.
async fn serve(
    site: &Site,
    timeouts: impl FnOnce(Timeouts) -> Timeouts,
) -> (Running, Client, Client) {
    let timeouts = timeouts(Timeouts::default());
    let http = HttpOptions::default().with_conn_info();
    let server = site.serve_as(|server| server.timeouts(timeouts).http(http));
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

/// Which worker serves this client.
async fn worker_of(client: &mut Client) -> String {
    let info = client.get("/info").await.body;
    let info = String::from_utf8(info.to_vec()).unwrap();
    info.split(' ').nth(1).expect("the worker").to_owned()
}

/// A handler begins to keep its worker from everything else.
async fn block(server: &Running, client: &mut Client) {
    client.send(get(&format!("/block/{BLOCKED}"))).await;
    server.state.arrived().await;
}

async fn a_head_that_came_while_the_worker_stood_still_is_answered(site: Site) {
    let (server, mut client, mut blocking) = serve(&site, |t| t.with_head(DEADLINE)).await;
    client.send("GET / HTTP/1.1\r\n").await;
    block(&server, &mut blocking).await;
    client.send("Host: test\r\n\r\n").await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn a_body_that_came_while_the_worker_stood_still_is_read(site: Site) {
    let (server, mut client, mut blocking) = serve(&site, |t| t.with_body_gap(DEADLINE)).await;
    client.send(format!("{}some", post("/len", 8))).await;
    block(&server, &mut blocking).await;
    client.send("more").await;
    assert_eq!(client.response().await.body, "8");
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn a_request_that_came_while_the_worker_stood_still_finds_its_connection(site: Site) {
    let (server, mut client, mut blocking) = serve(&site, |t| t.with_keep_alive(DEADLINE)).await;
    block(&server, &mut blocking).await;
    client.send(get("/")).await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(blocking.response().await.body, HELLO);
}

async fn a_handler_that_was_done_while_the_worker_stood_still_answers(site: Site) {
    let (server, mut client, mut blocking) = serve(&site, |t| t.with_request(DEADLINE)).await;
    client.send(get("/slow")).await;
    server.state.arrived().await;
    block(&server, &mut blocking).await;
    server.state.release();
    assert_eq!(client.response().await.body, HELLO);
    // It computed for longer than it may, and nobody could stop it.
    assert_eq!(blocking.head().await.unwrap().status, 200);
}
