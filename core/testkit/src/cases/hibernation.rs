//! Idle HTTP/1 connections release their buffers and get new ones at the next request. No client
//! notices.
use crate::{
    app::{HELLO, script::pattern, state::Fault},
    client::{Client, get, post},
    harness::{
        attempts::in_time,
        case::cases,
        running::Running,
        site::Site,
        upgraded::{UPGRADE, echoes},
        watch::Notes,
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
    an_idle_connection_falls_asleep_by_default,
    a_busy_connection_does_not_fall_asleep,
    a_connection_answers_after_each_sleep,
    a_pair_that_is_cut_anywhere_is_answered_in_order,
    a_pair_that_trickles_is_answered_in_order,
    many_pipelined_requests_are_answered_in_order,
    a_body_that_is_not_read_is_never_taken_for_a_request,
    a_large_body_that_is_not_read_is_never_taken_for_a_request,
    a_body_is_read_after_a_sleep,
    expect_continue_gets_its_100_after_a_sleep,
    expect_continue_that_is_not_heeded_is_no_request,
    a_connection_is_upgraded_after_a_sleep,
    a_panic_after_a_sleep_is_a_500,
    a_connection_is_the_same_after_a_sleep,
    an_h2_connection_does_not_sleep,
    without_hibernation_nothing_sleeps,
];

/// Longer than anything here takes.
const AMPLE: Duration = Duration::from_secs(20);
/// As given by default.
const DEFAULT: Duration = Duration::from_millis(200);

/// Connections fall asleep after each answer.
pub(crate) fn serve(site: &Site) -> (Running, Arc<Notes>) {
    serve_as(site, |server| server)
}

pub(crate) fn serve_as(
    site: &Site,
    configure: impl FnOnce(Server) -> Server,
) -> (Running, Arc<Notes>) {
    site.serve_watched(|server| {
        configure(server.http(HttpOptions::default().with_hibernate_after(Duration::ZERO)))
    })
}

/// A client whose connection is asleep.
pub(crate) async fn asleep(server: &Running, notes: &Notes) -> Client {
    let mut client = server.client().await;
    assert_eq!(client.get("/").await.body, HELLO);
    notes.asleep().await;
    client
}

/// The server ends the connection in order: no reset, and no more bytes.
pub(crate) async fn ends_in_order(client: &mut Client) {
    let error = client.try_response().await.expect_err("nothing was asked");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    client.closed().await;
}

async fn an_idle_connection_falls_asleep_by_default(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
    let mut client = server.client().await;
    for requests in [1, 2] {
        let begin = Instant::now();
        client.send(get("/").repeat(requests)).await;
        for _ in 0..requests {
            assert_eq!(client.response().await.body, HELLO);
        }
        notes.asleep().await;
        let elapsed = begin.elapsed();
        // Who asks once, is not expected to ask again soon.
        let earliest = if requests == 1 { DEFAULT / 40 } else { DEFAULT };
        assert!(
            (earliest..AMPLE).contains(&elapsed),
            "{requests} requests: {elapsed:?}"
        );
    }
    server.settles(1).await;
}

async fn a_busy_connection_does_not_fall_asleep(site: Site) {
    in_time(site, |site, idle, pace| async move {
        let (server, notes) = site
            .serve_watched(|server| server.http(HttpOptions::default().with_hibernate_after(idle)));
        let mut client = server.client().await;
        // One that asks once falls asleep sooner.
        client.send(get("/").repeat(2)).await;
        for _ in 0..2 {
            assert_eq!(client.response().await.body, HELLO);
        }
        pace.step();
        let begin = Instant::now();
        while begin.elapsed() < idle + idle / 4 {
            // Not to wait for anything: time has to pass.
            sleep(idle / 20).await;
            assert_eq!(client.get("/").await.body, HELLO);
            pace.step();
        }
        assert_eq!(notes.sleeps(), 0);
    })
    .await;
}

async fn a_connection_answers_after_each_sleep(site: Site) {
    for idle in [Duration::ZERO, Duration::from_millis(1)] {
        let (server, notes) = site
            .serve_watched(|server| server.http(HttpOptions::default().with_hibernate_after(idle)));
        let mut client = server.client().await;
        for length in [0, 1, 13, 5000, 300_000] {
            for _ in 0..10 {
                let response = client.get(&format!("/bytes/{length}")).await;
                assert!(
                    response.body == pattern(length),
                    "all {length} bytes, in order"
                );
                notes.asleep().await;
            }
        }
        // A server that had written one response too many would have it read here.
        client
            .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(client.response().await.body, HELLO);
        ends_in_order(&mut client).await;
    }
}

async fn a_pair_that_is_cut_anywhere_is_answered_in_order(site: Site) {
    let (server, notes) = serve(&site);
    let first = format!("{}hello", post("/echo", 5));
    let pair = format!("{first}{}", get("/host"));
    // One connection for all of it: what's lost or doubled is in the way of all that follows.
    let mut client = asleep(&server, &notes).await;
    for at in 1..=pair.len() {
        let (one, two) = pair.as_bytes().split_at(at);
        client.send(one).await;
        if at < first.len() {
            // Not to wait for anything: this client is slow by nature.
            sleep(Duration::from_millis(1)).await;
        } else {
            assert_eq!(
                client.response().await.body,
                "hello",
                "cut after {at} bytes"
            );
        }
        if at == first.len() {
            notes.asleep().await;
        }
        client.send(two).await;
        if at < first.len() {
            assert_eq!(
                client.response().await.body,
                "hello",
                "cut after {at} bytes"
            );
        }
        assert_eq!(client.response().await.body, "test", "cut after {at} bytes");
        notes.asleep().await;
    }
    server.settles(1).await;
}

async fn a_pair_that_trickles_is_answered_in_order(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    for byte in format!("{}hello{}", post("/echo", 5), get("/host")).bytes() {
        client.send([byte]).await;
        // Not to wait for anything: this client is slow by nature.
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.response().await.body, "hello");
    assert_eq!(client.response().await.body, "test");
}

/// More than hyper answers before it lets others have their turn.
async fn many_pipelined_requests_are_answered_in_order(site: Site) {
    let (server, notes) = serve(&site);
    let (mut sender, mut receiver) = asleep(&server, &notes).await.split();
    for _ in 0..3 {
        let requests: String = (0..100).map(|n| get(&format!("/bytes/{n}"))).collect();
        let responses = async {
            for n in 0..100 {
                assert_eq!(receiver.response().await.body, pattern(n), "the {n}th");
            }
        };
        tokio::join!(sender.send(requests), responses);
    }
    notes.asleep().await;
    sender.send(get("/host")).await;
    assert_eq!(receiver.response().await.body, "test");
}

/// RFC 9112 9.3: a server reads it or closes.
async fn a_body_that_is_not_read_is_never_taken_for_a_request(site: Site) {
    let (server, notes) = serve(&site);
    let body = get("/none");
    let head = post("/", body.len());
    // It comes with the head, or after the answer; whole or in part.
    for at in [head.len() + body.len(), head.len(), head.len() + 5] {
        let mut client = asleep(&server, &notes).await;
        let whole = format!("{head}{body}");
        let (early, late) = whole.split_at(at);
        client.send(early).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(late).await;
        client.send(get("/host")).await;
        match client.try_response().await {
            Ok(response) => assert_eq!(response.body, "test", "cut at {at}"),
            Err(_) => client.closed().await,
        }
        if late.is_empty() {
            assert_eq!(client.get("/").await.body, HELLO, "it was there to be read");
        }
    }
    server.settles(0).await;
}

async fn a_large_body_that_is_not_read_is_never_taken_for_a_request(site: Site) {
    let (server, notes) = serve(&site);
    let body = get("/none").repeat(30_000);
    let mut client = asleep(&server, &notes).await;
    let sent = client
        .try_send(format!("{}{body}{}", post("/", body.len()), get("/host")))
        .await;
    // Who's still sending when the server closes, may lose the answer by it.
    match client.try_response().await {
        Ok(response) => assert_eq!(response.body, HELLO),
        Err(_) => assert!(sent.is_err() || server.handle.connections() == 0),
    }
    match client.try_response().await {
        Ok(response) => assert_eq!(response.body, "test"),
        Err(_) => client.closed().await,
    }
    drop(client);
    server.settles(0).await;
}

async fn a_body_is_read_after_a_sleep(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    let chunked = "POST /len HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for n in [1, 5000, 100_000] {
        let body = "x".repeat(n);
        client.send(format!("{}{body}", post("/len", n))).await;
        assert_eq!(client.response().await.body, n.to_string());
        notes.asleep().await;
        client.send(chunked).await;
        client.send(format!("{n:x}\r\n{body}\r\n0\r\n\r\n")).await;
        assert_eq!(client.response().await.body, n.to_string());
        notes.asleep().await;
        // It's read on after its answer, and the connection isn't idle as long.
        client.send(post("/accepted", n)).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(&body).await;
        server.state.uploaded(n.try_into().unwrap()).await;
        notes.asleep().await;
    }
}

const EXPECT: &str = "HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// RFC 9110 10.1.1
async fn expect_continue_gets_its_100_after_a_sleep(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    for _ in 0..5 {
        client.send(format!("POST /len {EXPECT}")).await;
        assert_eq!(client.head().await.unwrap().status, 100);
        client.send("hello").await;
        assert_eq!(client.response().await.body, "5");
        notes.asleep().await;
    }
}

/// The client wasn't asked for its body. The server can't know whether it comes, so it closes.
async fn expect_continue_that_is_not_heeded_is_no_request(site: Site) {
    for sent in ["", "hello"] {
        let (server, notes) = serve(&site);
        let mut client = asleep(&server, &notes).await;
        client.send(format!("POST / {EXPECT}")).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(sent).await;
        client.closed().await;
        server.settles(0).await;
    }
}

async fn a_connection_is_upgraded_after_a_sleep(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    // Some of what follows comes with the request.
    client.send(format!("{UPGRADE}already")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
    for _ in 0..20 {
        echoes(&mut client, "over something else").await;
    }
    server.settles(1).await;
    let report = server
        .handle
        .shutdown(Duration::from_millis(100))
        .await
        .unwrap();
    assert_eq!((report.aborted, report.upgraded), (1, 1));
    client.closed().await;
    server.settles(0).await;
}

async fn a_panic_after_a_sleep_is_a_500(site: Site) {
    let (server, notes) = serve(&site);
    for path in ["/panic", "/panic-call", "/"] {
        let mut client = asleep(&server, &notes).await;
        if path == "/" {
            server.state.arm(Fault::PanicInClone);
        }
        assert_eq!(client.get(path).await.status, 500, "{path}");
        drop(client);
        server.settles(0).await;
    }
    server.serves_others().await;
}

async fn a_connection_is_the_same_after_a_sleep(site: Site) {
    let http = HttpOptions::default()
        .with_hibernate_after(Duration::ZERO)
        .with_conn_info();
    let (server, notes) = site.serve_watched(|server| server.http(http));
    let mut clients = Vec::new();
    // Each is answered before the next one comes: of two that come at once, either may be the
    // first, with several workers.
    for number in [&b"1 "[..], b"2 "] {
        let mut client = server.client().await;
        let facts = client.get("/info").await.body;
        notes.asleep().await;
        assert!(facts.starts_with(number), "{facts:?}");
        clients.push((client, facts));
    }
    for _ in 0..5 {
        for (client, facts) in &mut clients {
            assert_eq!(client.get("/info").await.body, *facts);
            notes.asleep().await;
        }
    }
}

async fn an_h2_connection_does_not_sleep(site: Site) {
    let (server, notes) = serve(&site);
    let mut h2 = server.h2().await;
    for _ in 0..20 {
        assert_eq!(h2.get("/").await.body, HELLO);
        // Not to wait for anything: time has to pass.
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(notes.sleeps(), 0);
    server.settles(1).await;
    // Beside it, others do.
    asleep(&server, &notes).await;
}

async fn without_hibernation_nothing_sleeps(site: Site) {
    let (server, notes) = site.serve_watched(|server| {
        server.http(HttpOptions::default().with_hibernate_after(Duration::MAX))
    });
    let mut client = server.client().await;
    for _ in 0..3 {
        assert_eq!(client.get("/").await.body, HELLO);
        // Not to wait for anything: time has to pass.
        sleep(2 * DEFAULT).await;
    }
    assert_eq!(notes.sleeps(), 0);
    drop(client);
    server.settles(0).await;
}
