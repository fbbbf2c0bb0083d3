//! Valid HTTP/1.1 and HTTP/1.0 (RFC 9112).
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post, stop_writing},
    harness::{case::cases, site::Site},
};
use anyport_core::HttpOptions;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    time::sleep,
};

cases![
    a_response_is_golden,
    a_connection_serves_many_requests,
    pipelined_requests_are_answered_in_order,
    a_head_may_arrive_byte_by_byte,
    any_split_of_a_pipelined_pair_gives_the_same,
    a_body_with_a_length_comes_back,
    a_chunked_body_comes_back,
    a_large_body_comes_back,
    expect_continue_gets_its_100,
    head_gets_no_body,
    connection_close_is_heeded,
    http_1_0_closes_after_its_response,
    http_1_0_keeps_alive_if_asked_to,
    http_1_0_ends_a_body_of_unknown_length_with_its_connection,
    a_client_that_stopped_writing_gets_what_is_there_at_once needs HalfClose,
    an_unread_body_is_never_taken_for_a_request,
    conn_info_is_complete,
    a_free_port_is_resolved needs PortZero,
];

async fn a_response_is_golden(site: Site) {
    let response = site.serve().ask(&get("/")).await;
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

async fn a_connection_serves_many_requests(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for _ in 0..500 {
        assert_eq!(client.get("/").await.body, HELLO);
    }
    server.settles(1).await;
}

async fn pipelined_requests_are_answered_in_order(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client
        .send(format!("{}{}{}", get("/"), get("/host"), get("/none")))
        .await;
    assert_eq!(client.response().await.body, HELLO);
    assert_eq!(client.response().await.body, "test");
    assert_eq!(client.response().await.status, 404);
}

async fn a_head_may_arrive_byte_by_byte(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for _ in 0..2 {
        for byte in get("/").bytes() {
            client.send([byte]).await;
            // Not to wait for anything: this client is slow by nature.
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.response().await.body, HELLO);
    }
}

async fn any_split_of_a_pipelined_pair_gives_the_same(site: Site) {
    let server = site.serve();
    let pair = format!("{}hello{}", post("/echo", 5), get("/host"));
    for at in 1..pair.len() {
        let (first, second) = pair.as_bytes().split_at(at);
        let mut client = server.client().await;
        client.send(first).await;
        // Not to wait for anything: this client is slow by nature.
        sleep(Duration::from_millis(1)).await;
        client.send(second).await;
        assert_eq!(
            client.response().await.body,
            "hello",
            "split after {at} bytes"
        );
        assert_eq!(
            client.response().await.body,
            "test",
            "split after {at} bytes"
        );
    }
}

async fn a_body_with_a_length_comes_back(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for body in ["", "x", "hello"] {
        client.send(post("/echo", body.len())).await;
        client.send(body).await;
        assert_eq!(client.response().await.body, body);
    }
}

async fn a_chunked_body_comes_back(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    let head = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for _ in 0..2 {
        client.send(head).await;
        client.send("5\r\nhello\r\n").await;
        client.send("7;extension=1\r\n, world\r\n0\r\n\r\n").await;
        assert_eq!(client.response().await.body, "hello, world");
    }
}

async fn a_large_body_comes_back(site: Site) {
    const N: usize = 3_000_000;
    let server = site.serve();
    let (read, mut write) = split(server.connect().await);
    let body = pattern(N);
    let sending = async {
        write.write_all(post("/echo", N).as_bytes()).await.unwrap();
        write.write_all(&body).await.unwrap();
        write.flush().await.unwrap();
    };
    let mut client = crate::client::Client::new(Box::new(tokio::io::join(read, tokio::io::sink())));
    let ((), response) = tokio::join!(sending, client.response());
    assert!(response.body == body, "all bytes, in order");
}

/// RFC 9110 10.1.1
async fn expect_continue_gets_its_100(site: Site) {
    let server = site.serve();
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
async fn head_gets_no_body(site: Site) {
    let server = site.serve();
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
        "the next response begins at once"
    );
}

/// RFC 9112 9.6
async fn connection_close_is_heeded(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .await;
    let response = client.response().await;
    assert!(response.closes(), "{response:?}");
    client.closed().await;
    server.settles(0).await;
}

async fn http_1_0_closes_after_its_response(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, HELLO);
    client.closed().await;
}

async fn http_1_0_keeps_alive_if_asked_to(site: Site) {
    let server = site.serve();
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

/// It knows no chunks (RFC 9112 6.3), and isn't told that the connection is kept.
async fn http_1_0_ends_a_body_of_unknown_length_with_its_connection(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client
        .send("GET /chunks/1000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.body, pattern(3000));
    assert_eq!(response.header("connection"), Some("close"));
    client.closed().await;
}

/// Over HTTP, the end of a client's bytes counts as its leave, but not before the app has had its
/// turn.
async fn a_client_that_stopped_writing_gets_what_is_there_at_once(site: Site) {
    let server = site.serve();
    for _ in 0..20 {
        let mut io = server.connect().await;
        io.write_all(get("/").as_bytes()).await.unwrap();
        stop_writing(&mut io).await;
        let mut all = String::new();
        io.read_to_string(&mut all).await.unwrap();
        assert!(
            all.starts_with("HTTP/1.1 200") && all.ends_with(HELLO),
            "{all}"
        );
    }
    let mut io = server.connect().await;
    io.write_all(get("/forever").as_bytes()).await.unwrap();
    stop_writing(&mut io).await;
    server.state.dropped().await;
    server.settles(0).await;
}

async fn an_unread_body_is_never_taken_for_a_request(site: Site) {
    let server = site.serve();
    // `/` never looks at the body; it looks like a request.
    let inner = get("/none");
    for _ in 0..20 {
        let mut client = server.client().await;
        client.send(post("/", inner.len())).await;
        client.send(&inner).await;
        client.send(get("/host")).await;
        assert_eq!(client.response().await.body, HELLO);
        // RFC 9112 9.3: a server reads it or closes.
        match client.try_response().await {
            Ok(response) => assert_eq!(response.body, "test"),
            Err(_) => client.closed().await,
        }
    }
}

async fn conn_info_is_complete(site: Site) {
    let server = site.serve_as(|server| server.http(HttpOptions::default().with_conn_info()));
    let mut first = server.client().await;
    let text = first.get("/info").await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let facts: Vec<_> = text.splitn(4, ' ').collect();
    assert_eq!(facts[0], "1", "numbered from 1: {text}");
    assert!(facts[1].parse::<usize>().is_ok(), "a worker: {text}");
    assert_eq!(
        facts[2],
        server.endpoint().to_string(),
        "where it was accepted"
    );
    assert!(
        !facts[3].is_empty() && facts[3] != facts[2],
        "a peer: {text}"
    );
    assert_eq!(
        first.get("/info").await.body,
        text,
        "the same for each request"
    );
    let second = server.ask(&get("/info")).await.body;
    assert!(
        second.starts_with(b"2 "),
        "another connection, another number: {second:?}"
    );
    // Off by default: it costs an allocation per request.
    assert_eq!(site.serve().ask(&get("/info")).await.body, "none");
}

async fn a_free_port_is_resolved(site: Site) {
    let server = site.serve();
    let addr = server.endpoint().socket_addr().expect("an IP address");
    assert_ne!(addr.port(), 0);
    let other = site.serve();
    assert_ne!(other.endpoint(), server.endpoint());
}
