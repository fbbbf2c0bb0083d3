//! Valid HTTP/1.1 and HTTP/1.0 (RFC 9112).
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post, shut_down_write},
    harness::{any_subject::AnySubject, case::cases},
};
use anyport_core::HttpOptions;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    time::sleep,
};

cases![
    response_has_expected_status_headers_and_body,
    connection_serves_many_requests,
    pipelined_requests_are_answered_in_order,
    head_arriving_byte_by_byte_is_parsed,
    pipelined_pair_split_at_any_byte_gets_both_responses,
    body_with_content_length_is_echoed,
    chunked_body_is_echoed,
    large_body_is_echoed,
    expect_continue_gets_100,
    head_request_gets_no_body,
    connection_close_closes_after_response,
    http_1_0_connection_closes_after_response,
    http_1_0_connection_is_kept_alive_on_request,
    http_1_0_body_of_unknown_length_ends_with_connection,
    half_closed_client_gets_immediate_response needs HalfClose under HALF_CLOSE,
    unread_body_is_never_parsed_as_request,
    conn_info_has_all_fields under INFO,
    port_zero_resolves_to_a_free_port needs PortZero under ENDPOINT,
];

async fn response_has_expected_status_headers_and_body(subject: AnySubject) {
    let response = subject.serve().exchange(&get("/")).await;
    assert_eq!((&*response.version, response.status), ("HTTP/1.1", 200));
    let mut names: Vec<_> = response.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "date"]);
    assert_eq!(response.header("content-length"), Some("13"));
    assert_eq!(response.header("content-type"), Some("text/plain"));
    assert!(
        response
            .header("date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    assert_eq!(response.body, "Hello, World!");
}

async fn connection_serves_many_requests(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for _ in 0..500 {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    server.wait_for_connections(1).await;
}

async fn pipelined_requests_are_answered_in_order(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client
        .send(format!("{}{}{}", get("/"), get("/host"), get("/none")))
        .await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(client.response().await.body, "test");
    assert_eq!(client.response().await.status, 404);
}

async fn head_arriving_byte_by_byte_is_parsed(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for _ in 0..2 {
        for byte in get("/").bytes() {
            client.send([byte]).await;
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.response().await.body, HELLO);
    }
}

async fn pipelined_pair_split_at_any_byte_gets_both_responses(subject: AnySubject) {
    let server = subject.serve();
    let pair = format!("{}hello{}", post("/echo", 5), get("/host"));
    for at in 1..pair.len() {
        let (first, second) = pair.as_bytes().split_at(at);
        let mut client = server.client().await;
        client.send(first).await;
        // The client is slow on purpose; the sleep does not wait for an event.
        sleep(Duration::from_millis(1)).await;
        client.send(second).await;
        assert_eq!(
            client.response().await.body,
            "hello",
            "the requests are split after {at} bytes"
        );
        assert_eq!(
            client.response().await.body,
            "test",
            "the requests are split after {at} bytes"
        );
    }
}

async fn body_with_content_length_is_echoed(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for body in ["", "x", "hello"] {
        client.send(post("/echo", body.len())).await;
        client.send(body).await;
        assert_eq!(client.response().await.body, body);
    }
}

async fn chunked_body_is_echoed(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    let head = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for _ in 0..2 {
        client.send(head).await;
        client.send("5\r\nhello\r\n").await;
        client.send("7;extension=1\r\n, world\r\n0\r\n\r\n").await;
        assert_eq!(client.response().await.body, "hello, world");
    }
}

async fn large_body_is_echoed(subject: AnySubject) {
    const N: usize = 3_000_000;
    let server = subject.serve();
    let (read, mut write) = split(server.connect().await);
    let body = pattern(N);
    let sending = async {
        write.write_all(post("/echo", N).as_bytes()).await.unwrap();
        write.write_all(&body).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut client = crate::client::Client::new(Box::new(tokio::io::join(read, tokio::io::sink())));
    let ((), response) = tokio::join!(sending, client.response());
    assert!(
        response.body == body,
        "expected exactly the bytes that were sent, in order"
    );
}

/// RFC 9110 10.1.1
async fn expect_continue_gets_100(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for _ in 0..2 {
        client
            .send("POST /len HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            .await;
        assert_eq!(client.head().await.unwrap().status, 100);
        client.send("hello").await;
        assert_eq!(client.response().await.body, "5");
    }
}

/// RFC 9110 9.3.2
async fn head_request_gets_no_body(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let head = client.head().await.unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("13"))
    );
    assert_eq!(
        client.get("/").await.body,
        HELLO,
        "the next response on the connection, which must begin at once"
    );
}

/// RFC 9112 9.6
async fn connection_close_closes_after_response(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .await;
    let response = client.response().await;
    assert!(response.closes(), "{response:?}");
    client.assert_closed().await;
    server.wait_for_connections(0).await;
}

async fn http_1_0_connection_closes_after_response(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, HELLO);
    client.assert_closed().await;
}

async fn http_1_0_connection_is_kept_alive_on_request(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    for _ in 0..3 {
        client
            .send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .await;
        let response = client.response().await;
        assert_eq!(response.body, HELLO);
        assert_eq!(response.header("connection"), Some("keep-alive"));
    }
}

/// HTTP/1.0 has no chunked coding (RFC 9112 6.3), so the server must not promise to keep the
/// connection.
async fn http_1_0_body_of_unknown_length_ends_with_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client
        .send("GET /chunks/1000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.body, pattern(3000));
    assert_eq!(response.header("connection"), Some("close"));
    client.assert_closed().await;
}

/// A FIN cancels a request, but only after the handler was polled once.
async fn half_closed_client_gets_immediate_response(subject: AnySubject) {
    let server = subject.serve();
    for _ in 0..20 {
        let mut io = server.connect().await;
        io.write_all(get("/").as_bytes()).await.unwrap();
        shut_down_write(&mut io).await;
        let mut all = String::new();
        io.read_to_string(&mut all).await.unwrap();
        assert!(
            all.starts_with("HTTP/1.1 200") && all.ends_with(HELLO),
            "{all}"
        );
    }
    let mut io = server.connect().await;
    io.write_all(get("/forever").as_bytes()).await.unwrap();
    shut_down_write(&mut io).await;
    server.state.dropped().await;
    server.wait_for_connections(0).await;
}

async fn unread_body_is_never_parsed_as_request(subject: AnySubject) {
    let server = subject.serve();
    // The handler of `/` never reads the body, which looks like a request.
    let inner = get("/none");
    for _ in 0..20 {
        let mut client = server.client().await;
        client.send(post("/", inner.len())).await;
        client.send(&inner).await;
        client.send(get("/host")).await;
        assert_eq!(client.response().await.body, HELLO);
        // RFC 9112 9.3: a server reads the body or closes.
        match client.try_response().await {
            Ok(response) => assert_eq!(response.body, "test"),
            Err(_) => client.assert_closed().await,
        }
    }
}

async fn conn_info_has_all_fields(subject: AnySubject) {
    let server =
        subject.serve_configured(|server| server.http(HttpOptions::default().with_conn_info()));
    let mut first = server.client().await;
    let text = first.get("/info").await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let facts: Vec<_> = text.splitn(4, ' ').collect();
    assert_eq!(facts[0], "1", "ids of connections start at 1: {text}");
    assert!(
        facts[1].parse::<usize>().is_ok(),
        "expected the index of a worker: {text}"
    );
    assert_eq!(
        facts[2],
        server.endpoint().to_string(),
        "the local endpoint of the connection"
    );
    assert!(
        !facts[3].is_empty() && facts[3] != facts[2],
        "expected a peer endpoint that is not the local one: {text}"
    );
    assert_eq!(
        first.get("/info").await.body,
        text,
        "the ConnInfo of the second request on the connection"
    );
    let second = server.exchange(&get("/info")).await.body;
    assert!(
        second.starts_with(b"2 "),
        "expected id 2 for the second connection, got {second:?}"
    );
    // It is off by default, because it allocates for each request.
    assert_eq!(subject.serve().exchange(&get("/info")).await.body, "none");
}

async fn port_zero_resolves_to_a_free_port(subject: AnySubject) {
    let server = subject.serve();
    let addr = server
        .endpoint()
        .socket_addr()
        .expect("expected an IP address as endpoint");
    assert_ne!(addr.port(), 0);
    let other = subject.serve();
    assert_ne!(other.endpoint(), server.endpoint());
}
