//! Active connections that are probed for idleness again and again. Requests and responses arrive
//! unchanged.
use crate::{
    app::{CHUNKS, HELLO, script::pattern},
    client::{Client, get, post},
    harness::{
        any_subject::AnySubject,
        case::cases,
        test_server::TestServer,
        upgraded::{UPGRADE, assert_echo},
    },
};
use anyport_core::HttpOptions;
use bytes::Bytes;
use std::{
    future::Future,
    time::{Duration, Instant},
};
use tokio::time::sleep;

cases![
    probed_connection_sends_all_response_sizes_unchanged,
    probed_connection_sends_chunked_responses_unchanged,
    probed_connection_answers_pipelined_requests_in_order,
    partial_head_during_probe_is_answered,
    partial_body_during_probe_is_read,
    unread_body_during_probe_is_never_parsed_as_request,
    late_unread_body_is_never_parsed_as_request,
    probed_connection_can_be_upgraded,
];

const MANY: usize = 40;
/// Number of exchanges of large bodies.
const FEW: usize = 5;
const MEBIBYTE: usize = 1024 * 1024;
/// How often an active connection is probed. An idle connection hibernates after this time, so even
/// a busy machine should send [`MANY`] requests within it.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

fn serve(subject: &AnySubject) -> TestServer {
    subject.serve_configured(|server| {
        server.http(HttpOptions::default().with_hibernate_after(PROBE_INTERVAL))
    })
}

/// Repeats an exchange often enough, and for long enough, that a probe falls in the middle of one.
struct Exchanges {
    begin: Instant,
    /// How many exchanges follow without a pause.
    times: usize,
}

impl Exchanges {
    fn begin() -> Self {
        Self::of(MANY)
    }

    fn of(times: usize) -> Self {
        Self {
            begin: Instant::now(),
            times,
        }
    }

    /// Whether there is another exchange.
    async fn more(&mut self) -> bool {
        if let Some(left) = self.times.checked_sub(1) {
            self.times = left;
            return true;
        }
        // The connection does not become idle, and other tests get the processor.
        sleep(PROBE_INTERVAL / 20).await;
        self.begin.elapsed() < 3 * PROBE_INTERVAL
    }
}

async fn assert_bytes(client: &mut Client, length: usize) {
    let body = client.get(&format!("/bytes/{length}")).await.body;
    assert_pattern(&body, length);
}

#[track_caller]
fn assert_pattern(body: &Bytes, length: usize) {
    assert_eq!(body.len(), length);
    assert!(
        *body == pattern(length),
        "expected {length} bytes, unchanged and in order"
    );
}

/// Sends small requests until the connection was probed.
async fn exchange_small(client: &mut Client) {
    let mut exchanges = Exchanges::begin();
    while exchanges.more().await {
        assert_bytes(client, 13).await;
    }
}

async fn probed_connection_sends_all_response_sizes_unchanged(subject: AnySubject) {
    let server = serve(&subject);
    let mut client = server.client().await;
    for _ in 0..2 {
        exchange_small(&mut client).await;
        assert_bytes(&mut client, MEBIBYTE).await;
    }
    exchange_small(&mut client).await;
    // Sizes around the boundaries of buffers.
    for length in [0, 1, 4096, 8191, 8192, 8193, 16_384, 100_000, 500_000] {
        let mut other = server.client().await;
        exchange_small(&mut other).await;
        assert_bytes(&mut other, length).await;
        assert_bytes(&mut other, 13).await;
        assert_bytes(&mut client, length).await;
    }
}

async fn probed_connection_sends_chunked_responses_unchanged(subject: AnySubject) {
    let server = serve(&subject);
    let mut client = server.client().await;
    for (each, times) in [
        (10, MANY),
        (20_000, MANY),
        (10, MANY),
        (300_000, FEW),
        (10, MANY),
    ] {
        let mut exchanges = Exchanges::of(times);
        while exchanges.more().await {
            let response = client.get(&format!("/chunks/{each}")).await;
            assert_eq!(response.header("transfer-encoding"), Some("chunked"));
            assert_pattern(&response.body, CHUNKS * each);
            // The coding of the body changes between these responses.
            assert_eq!(client.get("/").await.body, HELLO);
        }
    }
}

/// A connection with more pipelined requests than its budget allows is probed in between.
async fn probed_connection_answers_pipelined_requests_in_order(subject: AnySubject) {
    let lengths = |n: usize| if n % 70 == 69 { 100_000 } else { n };
    for idle in [Duration::ZERO, PROBE_INTERVAL, Duration::MAX] {
        let server = subject.serve_configured(|server| {
            server.http(HttpOptions::default().with_hibernate_after(idle))
        });
        let (mut sender, mut receiver) = server.client().await.split();
        for _ in 0..3 {
            let requests: String = (0..140)
                .map(|n| get(&format!("/bytes/{}", lengths(n))))
                .collect();
            let responses = async {
                for n in 0..140 {
                    assert_pattern(&receiver.response().await.body, lengths(n));
                }
            };
            tokio::join!(sender.send(requests), responses);
        }
    }
}

/// Runs all of them at once, because each takes a while.
async fn join_all(
    connections: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>,
) {
    let connections: Vec<_> = connections.into_iter().map(tokio::spawn).collect();
    for connection in connections {
        connection
            .await
            .expect("expected all exchanges of a connection to succeed");
    }
}

/// The probe most probably falls between the two parts.
async fn send_later(client: &mut Client, rest: &[u8]) {
    // The client is slow on purpose; the sleep does not wait for an event.
    sleep(Duration::from_millis(2)).await;
    client.send(rest).await;
}

/// Every split of a request, each on a connection of its own.
async fn partial_head_during_probe_is_answered(subject: AnySubject) {
    let server = serve(&subject);
    let next = get("/host").into_bytes();
    let mut connections = Vec::new();
    for at in 0..=next.len() {
        let (mut client, next) = (server.client().await, next.clone());
        connections.push(async move {
            let (early, late) = next.split_at(at);
            let mut exchanges = Exchanges::begin();
            while exchanges.more().await {
                client.send([get("/").as_bytes(), early].concat()).await;
                assert_eq!(
                    client.response().await.body,
                    HELLO,
                    "the request is split after {at} bytes"
                );
                send_later(&mut client, late).await;
                assert_eq!(
                    client.response().await.body,
                    "test",
                    "the request is split after {at} bytes"
                );
            }
            // No request was processed twice.
            client
                .send("GET /none HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                .await;
            assert_eq!(
                client.response().await.status,
                404,
                "the request is split after {at} bytes"
            );
            client.assert_closed().await;
        });
    }
    join_all(connections).await;
}

async fn partial_body_during_probe_is_read(subject: AnySubject) {
    let server = serve(&subject);
    let chunked = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n";
    let mut connections = Vec::new();
    for at in 0..=20 {
        let mut client = server.client().await;
        connections.push(async move {
            let body = pattern(20);
            let (early, late) = body.split_at(at);
            let (hello, fixed) = (get("/"), post("/echo", 20));
            let mut exchanges = Exchanges::begin();
            while exchanges.more().await {
                for (head, end) in [(fixed.as_bytes(), &b""[..]), (chunked, b"\r\n0\r\n\r\n")] {
                    client.send([hello.as_bytes(), head, early].concat()).await;
                    assert_eq!(client.response().await.body, HELLO);
                    send_later(&mut client, &[late, end].concat()).await;
                    assert_eq!(
                        client.response().await.body,
                        body,
                        "the request is split after {at} bytes"
                    );
                }
            }
        });
    }
    join_all(connections).await;
}

/// RFC 9112 9.3: a server reads the body or closes.
async fn unread_body_during_probe_is_never_parsed_as_request(subject: AnySubject) {
    let server = serve(&subject);
    let mut connections = Vec::new();
    for at in 0..=10 {
        let mut client = server.client().await;
        connections.push(async move {
            let body = get("/none").into_bytes();
            let (early, late) = body.split_at(at * body.len() / 10);
            let mut exchanges = Exchanges::begin();
            while exchanges.more().await {
                assert_eq!(client.get("/").await.body, HELLO);
                // Hyper reads a body that arrives with its head.
                client
                    .send([post("/", body.len()).as_bytes(), &body].concat())
                    .await;
                assert_eq!(client.response().await.body, HELLO);
            }
            client
                .send([post("/", body.len()).as_bytes(), early].concat())
                .await;
            assert_eq!(client.response().await.body, HELLO);
            send_later(&mut client, &[late, get("/host").as_bytes()].concat()).await;
            match client.try_response().await {
                Ok(response) => assert_eq!(
                    response.body, "test",
                    "the request is split after {at} bytes"
                ),
                Err(_) => client.assert_closed().await,
            }
        });
    }
    join_all(connections).await;
    server.wait_for_connections(0).await;
}

async fn probed_connection_can_be_upgraded(subject: AnySubject) {
    let server = serve(&subject);
    let mut client = server.client().await;
    exchange_small(&mut client).await;
    client
        .send(format!("{}{UPGRADE}already", get("/").repeat(20)))
        .await;
    for _ in 0..20 {
        assert_eq!(client.response().await.body, HELLO);
    }
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
    assert_echo(&mut client, "over something else").await;
    server.wait_for_connections(1).await;
    drop(client);
    server.wait_for_connections(0).await;
}

/// After any number of requests, hibernating at once or later: bytes after the head are its body.
async fn late_unread_body_is_never_parsed_as_request(subject: AnySubject) {
    for idle in [Duration::ZERO, PROBE_INTERVAL] {
        let server = subject.serve_configured(|server| {
            server.http(HttpOptions::default().with_hibernate_after(idle))
        });
        for before in 0..=40 {
            let mut client = server.client().await;
            for _ in 0..before {
                assert_eq!(client.get("/").await.body, HELLO);
            }
            let body = get("/none");
            client.send(post("/", body.len())).await;
            assert_eq!(client.response().await.body, HELLO);
            client.send(format!("{body}{}", get("/host"))).await;
            match client.try_response().await {
                Ok(response) => assert_eq!(
                    response.body, "test",
                    "the request behind an unread body, after {before} requests"
                ),
                Err(_) => client.assert_closed().await,
            }
        }
        server.wait_for_connections(0).await;
    }
}
