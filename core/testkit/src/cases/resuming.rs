//! A connection that hibernated and resumes serves whatever arrives, as any other does.
use crate::{
    app::{HELLO, script::pattern, state::AppFault},
    cases::hibernation::{hibernating_client, serve},
    client::{get, post},
    harness::{
        any_subject::AnySubject,
        case::cases,
        upgraded::{UPGRADE, assert_echo},
    },
};
use anyport_core::HttpOptions;
use std::time::Duration;
use tokio::time::sleep;

cases![
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
];

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
