//! Probing for idleness never corrupts the data of busy connections.
use crate::{
    app::{CHUNKS, HELLO, script::pattern},
    client::{Client, get, post},
    harness::{
        case::cases,
        running::Running,
        site::Site,
        upgraded::{UPGRADE, echoes},
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
    responses_of_all_sizes_come_back_unchanged,
    chunked_responses_come_back_unchanged,
    pipelined_requests_are_answered_in_order_meanwhile,
    a_request_that_is_half_there_meanwhile_is_answered,
    a_body_that_is_half_there_meanwhile_is_read,
    a_body_that_is_not_read_is_never_taken_for_a_request_meanwhile,
    a_body_that_is_not_read_and_comes_late_is_never_taken_for_a_request,
    a_connection_is_upgraded_afterwards,
];

const MANY: usize = 40;
/// What's large is exchanged less often.
const FEW: usize = 5;
const MEBIBYTE: usize = 1024 * 1024;
/// A busy connection is looked at this often. A connection that's idle for as long falls asleep, so
/// it's long enough for a busy machine to ask [`MANY`] times meanwhile, mostly.
const LOOK: Duration = Duration::from_millis(50);

fn serve(site: &Site) -> Running {
    site.serve_as(|server| server.http(HttpOptions::default().with_hibernate_after(LOOK)))
}

/// Something is done so often, and for so long, that a look comes in the middle of it.
struct Exchanges {
    begin: Instant,
    /// How many are left that are done without a pause.
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

    /// Whether there's to be one more.
    async fn more(&mut self) -> bool {
        if let Some(left) = self.times.checked_sub(1) {
            self.times = left;
            return true;
        }
        // It's often enough not to be idle, and leaves the processor to others.
        sleep(LOOK / 20).await;
        self.begin.elapsed() < 3 * LOOK
    }
}

async fn assert_bytes(client: &mut Client, length: usize) {
    let body = client.get(&format!("/bytes/{length}")).await.body;
    assert_pattern(&body, length);
}

#[track_caller]
fn assert_pattern(body: &Bytes, length: usize) {
    assert_eq!(body.len(), length);
    assert!(*body == pattern(length), "all {length} bytes, in order");
}

/// Small requests, until the connection has been looked at.
async fn small(client: &mut Client) {
    let mut exchanges = Exchanges::begin();
    while exchanges.more().await {
        assert_bytes(client, 13).await;
    }
}

async fn responses_of_all_sizes_come_back_unchanged(site: Site) {
    let server = serve(&site);
    let mut client = server.client().await;
    for _ in 0..2 {
        small(&mut client).await;
        assert_bytes(&mut client, MEBIBYTE).await;
    }
    small(&mut client).await;
    // Around whatever is copied up to some size.
    for length in [0, 1, 4096, 8191, 8192, 8193, 16_384, 100_000, 500_000] {
        let mut other = server.client().await;
        small(&mut other).await;
        assert_bytes(&mut other, length).await;
        assert_bytes(&mut other, 13).await;
        assert_bytes(&mut client, length).await;
    }
}

async fn chunked_responses_come_back_unchanged(site: Site) {
    let server = serve(&site);
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
            // Where one kind of body ends, the other begins.
            assert_eq!(client.get("/").await.body, HELLO);
        }
    }
}

/// A connection that has more to answer than its turn allows is looked at in between.
async fn pipelined_requests_are_answered_in_order_meanwhile(site: Site) {
    let lengths = |n: usize| if n % 70 == 69 { 100_000 } else { n };
    for idle in [Duration::ZERO, LOOK, Duration::MAX] {
        let server =
            site.serve_as(|server| server.http(HttpOptions::default().with_hibernate_after(idle)));
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

/// All at once: each takes its time.
async fn all(connections: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    let connections: Vec<_> = connections.into_iter().map(tokio::spawn).collect();
    for connection in connections {
        connection.await.expect("nothing went wrong");
    }
}

/// The connection is looked at, most probably, while it waits for the rest.
async fn send_later(client: &mut Client, rest: &[u8]) {
    // Not to wait for anything: this client is slow by nature.
    sleep(Duration::from_millis(2)).await;
    client.send(rest).await;
}

/// Each cut of a request on a connection of its own.
async fn a_request_that_is_half_there_meanwhile_is_answered(site: Site) {
    let server = serve(&site);
    let next = get("/host").into_bytes();
    let mut connections = Vec::new();
    for at in 0..=next.len() {
        let (mut client, next) = (server.client().await, next.clone());
        connections.push(async move {
            let (early, late) = next.split_at(at);
            let mut exchanges = Exchanges::begin();
            while exchanges.more().await {
                client.send([get("/").as_bytes(), early].concat()).await;
                assert_eq!(client.response().await.body, HELLO, "cut at {at}");
                send_later(&mut client, late).await;
                assert_eq!(client.response().await.body, "test", "cut at {at}");
            }
            // Nothing was doubled.
            client
                .send("GET /none HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                .await;
            assert_eq!(client.response().await.status, 404, "cut at {at}");
            client.closed().await;
        });
    }
    all(connections).await;
}

async fn a_body_that_is_half_there_meanwhile_is_read(site: Site) {
    let server = serve(&site);
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
                    assert_eq!(client.response().await.body, body, "cut at {at}");
                }
            }
        });
    }
    all(connections).await;
}

/// RFC 9112 9.3: a server reads it or closes.
async fn a_body_that_is_not_read_is_never_taken_for_a_request_meanwhile(site: Site) {
    let server = serve(&site);
    let mut connections = Vec::new();
    for at in 0..=10 {
        let mut client = server.client().await;
        connections.push(async move {
            let body = get("/none").into_bytes();
            let (early, late) = body.split_at(at * body.len() / 10);
            let mut exchanges = Exchanges::begin();
            while exchanges.more().await {
                assert_eq!(client.get("/").await.body, HELLO);
                // Whole, it's read by hyper.
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
                Ok(response) => assert_eq!(response.body, "test", "cut at {at}"),
                Err(_) => client.closed().await,
            }
        });
    }
    all(connections).await;
    server.settles(0).await;
}

async fn a_connection_is_upgraded_afterwards(site: Site) {
    let server = serve(&site);
    let mut client = server.client().await;
    small(&mut client).await;
    client
        .send(format!("{}{UPGRADE}already", get("/").repeat(20)))
        .await;
    for _ in 0..20 {
        assert_eq!(client.response().await.body, HELLO);
    }
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
    echoes(&mut client, "over something else").await;
    server.settles(1).await;
    drop(client);
    server.settles(0).await;
}

/// Whatever was asked before it, and whether the connection falls asleep at once or not: what comes
/// after the head is its body.
async fn a_body_that_is_not_read_and_comes_late_is_never_taken_for_a_request(site: Site) {
    for sleeps in [Duration::ZERO, LOOK] {
        let server = site
            .serve_as(|server| server.http(HttpOptions::default().with_hibernate_after(sleeps)));
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
                Ok(response) => assert_eq!(response.body, "test", "after {before} requests"),
                Err(_) => client.closed().await,
            }
        }
        server.settles(0).await;
    }
}
