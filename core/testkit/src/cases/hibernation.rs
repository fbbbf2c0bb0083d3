//! Idle HTTP/1 connections hibernate: they release their buffers, and resume when their client
//! sends again. Clients see no difference.
use crate::{
    app::{HELLO, script::pattern, state::AppFault},
    client::{Client, get, post},
    harness::{
        any_subject::AnySubject,
        case::cases,
        instrumented::Counters,
        retries::retry_if_late,
        test_server::TestServer,
        upgraded::{UPGRADE, assert_echo},
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
    resumed_connection_answers_pair_split_at_any_byte,
    resumed_connection_answers_trickled_pair,
    resumed_connection_answers_many_pipelined_requests,
    unread_body_is_never_parsed_as_request,
    large_unread_body_is_never_parsed_as_request,
    resumed_connection_reads_bodies,
    resumed_connection_sends_100_continue,
    unused_expect_continue_closes_connection,
    resumed_connection_can_be_upgraded,
    panic_on_resumed_connection_becomes_500,
    resumed_connection_keeps_its_conn_info,
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

async fn resumed_connection_answers_pair_split_at_any_byte(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let first = format!("{}hello", post("/echo", 5));
    let pair = format!("{first}{}", get("/host"));
    // All splits use one connection, so that a lost or duplicated byte breaks every later request.
    let mut client = hibernating_client(&server, &counters).await;
    for at in 1..=pair.len() {
        let (one, two) = pair.as_bytes().split_at(at);
        client.send(one).await;
        if at < first.len() {
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(Duration::from_millis(1)).await;
        } else {
            assert_eq!(
                client.response().await.body,
                "hello",
                "the requests are split after {at} bytes"
            );
        }
        if at == first.len() {
            counters.hibernated().await;
        }
        client.send(two).await;
        if at < first.len() {
            assert_eq!(
                client.response().await.body,
                "hello",
                "the requests are split after {at} bytes"
            );
        }
        assert_eq!(
            client.response().await.body,
            "test",
            "the requests are split after {at} bytes"
        );
        counters.hibernated().await;
    }
    server.wait_for_connections(1).await;
}

async fn resumed_connection_answers_trickled_pair(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    for byte in format!("{}hello{}", post("/echo", 5), get("/host")).bytes() {
        client.send([byte]).await;
        // The client is slow on purpose; the sleep does not wait for an event.
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.response().await.body, "hello");
    assert_eq!(client.response().await.body, "test");
}

/// More requests than hyper processes before it yields.
async fn resumed_connection_answers_many_pipelined_requests(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let (mut sender, mut receiver) = hibernating_client(&server, &counters).await.split();
    for _ in 0..3 {
        let requests: String = (0..100).map(|n| get(&format!("/bytes/{n}"))).collect();
        let responses = async {
            for n in 0..100 {
                assert_eq!(
                    receiver.response().await.body,
                    pattern(n),
                    "the body of response {n}"
                );
            }
        };
        tokio::join!(sender.send(requests), responses);
    }
    counters.hibernated().await;
    sender.send(get("/host")).await;
    assert_eq!(receiver.response().await.body, "test");
}

/// RFC 9112 9.3: a server reads the body or closes.
async fn unread_body_is_never_parsed_as_request(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let body = get("/none");
    let head = post("/", body.len());
    // The body arrives with the head or after the response, whole or in part.
    for at in [head.len() + body.len(), head.len(), head.len() + 5] {
        let mut client = hibernating_client(&server, &counters).await;
        let whole = format!("{head}{body}");
        let (early, late) = whole.split_at(at);
        client.send(early).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(late).await;
        client.send(get("/host")).await;
        match client.try_response().await {
            Ok(response) => assert_eq!(
                response.body, "test",
                "the request is split after {at} bytes"
            ),
            Err(_) => client.assert_closed().await,
        }
        if late.is_empty() {
            assert_eq!(
                client.get("/").await.body,
                HELLO,
                "GET / after a body that arrived with its head"
            );
        }
    }
    server.wait_for_connections(0).await;
}

async fn large_unread_body_is_never_parsed_as_request(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let body = get("/none").repeat(30_000);
    let mut client = hibernating_client(&server, &counters).await;
    let sent = client
        .try_send(format!("{}{body}{}", post("/", body.len()), get("/host")))
        .await;
    // A client that is still sending when the server closes may lose the response.
    match client.try_response().await {
        Ok(response) => assert_eq!(response.body, HELLO),
        Err(_) => assert!(sent.is_err() || server.handle.connections() == 0),
    }
    match client.try_response().await {
        Ok(response) => assert_eq!(response.body, "test"),
        Err(_) => client.assert_closed().await,
    }
    drop(client);
    server.wait_for_connections(0).await;
}

async fn resumed_connection_reads_bodies(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    let chunked = "POST /len HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for n in [1, 5000, 100_000] {
        let body = "x".repeat(n);
        client.send(format!("{}{body}", post("/len", n))).await;
        assert_eq!(client.response().await.body, n.to_string());
        counters.hibernated().await;
        client.send(chunked).await;
        client.send(format!("{n:x}\r\n{body}\r\n0\r\n\r\n")).await;
        assert_eq!(client.response().await.body, n.to_string());
        counters.hibernated().await;
        // The body is read after its response. The connection is not idle until then.
        client.send(post("/accepted", n)).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(&body).await;
        server.state.uploaded(n.try_into().unwrap()).await;
        counters.hibernated().await;
    }
}

const EXPECT: &str = "HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

/// RFC 9110 10.1.1
async fn resumed_connection_sends_100_continue(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    for _ in 0..5 {
        client.send(format!("POST /len {EXPECT}")).await;
        assert_eq!(client.head().await.unwrap().status, 100);
        client.send("hello").await;
        assert_eq!(client.response().await.body, "5");
        counters.hibernated().await;
    }
}

/// The client got no 100. The server cannot know whether the body follows, so it closes.
async fn unused_expect_continue_closes_connection(subject: AnySubject) {
    for sent in ["", "hello"] {
        let (server, counters) = serve(&subject);
        let mut client = hibernating_client(&server, &counters).await;
        client.send(format!("POST / {EXPECT}")).await;
        assert_eq!(client.response().await.body, HELLO);
        client.send(sent).await;
        client.assert_closed().await;
        server.wait_for_connections(0).await;
    }
}

async fn resumed_connection_can_be_upgraded(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    let mut client = hibernating_client(&server, &counters).await;
    // The first bytes of the new protocol arrive with the request.
    client.send(format!("{UPGRADE}already")).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    assert_eq!(client.exactly(7).await.unwrap(), "already");
    for _ in 0..20 {
        assert_echo(&mut client, "over something else").await;
    }
    server.wait_for_connections(1).await;
    let report = server
        .handle
        .shutdown(Duration::from_millis(100))
        .await
        .unwrap();
    assert_eq!((report.aborted, report.upgraded), (1, 1));
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn panic_on_resumed_connection_becomes_500(subject: AnySubject) {
    let (server, counters) = serve(&subject);
    for path in ["/panic", "/panic-call", "/"] {
        let mut client = hibernating_client(&server, &counters).await;
        if path == "/" {
            server.state.inject(AppFault::PanicInClone);
        }
        assert_eq!(client.get(path).await.status, 500, "{path}");
        drop(client);
        server.wait_for_connections(0).await;
    }
    server.assert_serves_new_clients().await;
}

async fn resumed_connection_keeps_its_conn_info(subject: AnySubject) {
    let http = HttpOptions::default()
        .with_hibernate_after(Duration::ZERO)
        .with_conn_info();
    let (server, counters) = subject.serve_instrumented(|server| server.http(http));
    let mut clients = Vec::new();
    // Each client gets a response before the next one connects: with several workers, the order of
    // two concurrent clients is not defined.
    for number in [&b"1 "[..], b"2 "] {
        let mut client = server.client().await;
        let facts = client.get("/info").await.body;
        counters.hibernated().await;
        assert!(facts.starts_with(number), "{facts:?}");
        clients.push((client, facts));
    }
    for _ in 0..5 {
        for (client, facts) in &mut clients {
            assert_eq!(client.get("/info").await.body, *facts);
            counters.hibernated().await;
        }
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
