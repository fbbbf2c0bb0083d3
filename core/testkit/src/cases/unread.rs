//! HTTP/1 requests whose bodies the app does not read. They do not delay the response, and it says
//! whether the connection is kept (RFC 9112 9.3 and 9.6).
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post},
    harness::{case::cases, running::Running, site::Site},
};

cases![
    a_small_body_is_read_behind_its_response,
    a_body_that_comes_late_is_read_behind_its_response,
    a_body_that_never_comes_is_not_waited_for_for_long,
    a_body_of_unknown_length_costs_the_connection,
    a_large_body_costs_the_connection,
    a_body_that_was_not_asked_for_costs_the_connection,
    a_body_left_by_an_error_is_read_behind_it,
];

/// As much as is read behind a response.
const MOST: usize = 256 * 1024;

/// A response is the last one, and says so; the body is on its way, and not reset.
async fn is_last(server: &Running, head: &str, body: &[u8]) {
    let mut client = server.client().await;
    client.send(head).await;
    let response = client.response().await;
    assert_eq!(response.body, HELLO, "{head}");
    assert!(response.closes(), "{head}: {response:?}");
    let _ = client.try_send(body).await;
    client.closed().await;
}

async fn a_small_body_is_read_behind_its_response(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    for _ in 0..100 {
        client.send(post("/", 20)).await;
        client.send(pattern(20)).await;
        let response = client.response().await;
        assert!(response.body == HELLO && !response.closes(), "{response:?}");
    }
    assert_eq!(client.get("/").await.body, HELLO);
    server.settles(1).await;
}

async fn a_body_that_comes_late_is_read_behind_its_response(site: Site) {
    let server = site.serve();
    for length in [1, 20, 5000, MOST] {
        let mut client = server.client().await;
        client.send(post("/", length)).await;
        let response = client.response().await;
        assert!(
            response.body == HELLO && !response.closes(),
            "{length}: {response:?}"
        );
        client.send(pattern(length)).await;
        assert_eq!(client.get("/host").await.body, "test", "{length}");
    }
}

/// So that nobody is served by a connection that waits.
async fn a_body_that_never_comes_is_not_waited_for_for_long(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send(post("/", 20)).await;
    assert_eq!(client.response().await.body, HELLO);
    client.send(&pattern(10)).await;
    client.closed().await;
    drop(client);
    server.settles(0).await;
}

async fn a_body_of_unknown_length_costs_the_connection(site: Site) {
    let server = site.serve();
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    is_last(&server, head, b"5\r\nhello\r\n0\r\n\r\n").await;
}

async fn a_large_body_costs_the_connection(site: Site) {
    let server = site.serve();
    is_last(&server, &post("/", MOST + 1), &pattern(MOST + 1)).await;
}

/// RFC 9110 10.1.1: nor is it asked for then.
async fn a_body_that_was_not_asked_for_costs_the_connection(site: Site) {
    let server = site.serve();
    let head =
        "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n";
    is_last(&server, head, b"").await;
}

async fn a_body_left_by_an_error_is_read_behind_it(site: Site) {
    let server = site.serve();
    for path in ["/error", "/panic"] {
        let mut client = server.client().await;
        client.send(post(path, 20)).await;
        let response = client.response().await;
        assert!(
            response.status == 500 && !response.closes(),
            "{path}: {response:?}"
        );
        client.send(pattern(20)).await;
        client.send(get("/host")).await;
        assert_eq!(client.response().await.body, "test", "{path}");
    }
}
