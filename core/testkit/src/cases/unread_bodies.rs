//! HTTP/1 requests whose bodies the app does not read. They do not delay the response, which says
//! whether the connection continues (RFC 9112 9.3 and 9.6).
use crate::{
    app::{HELLO, script::pattern},
    client::{get, post},
    harness::{
        any_subject::AnySubject, case::cases, retries::retry_if_late_with, test_server::TestServer,
    },
};
use std::time::Duration;

cases![
    small_body_is_drained_after_response,
    late_body_is_drained_after_response,
    missing_body_closes_connection_soon,
    chunked_body_closes_connection,
    large_body_closes_connection,
    unsent_expected_body_closes_connection,
    body_is_drained_after_error_response,
];

/// The number of bytes that the server reads after a response.
const MAX_DISCARDED: usize = 256 * 1024;
/// How long the server reads after a response. An attempt with a slower client proves nothing.
const READING: &[Duration] = &[Duration::from_secs(5); 3];

/// Asserts that the response announces the end of the connection. Sending the body then causes no
/// reset.
async fn assert_last_response(server: &TestServer, head: &str, body: &[u8]) {
    let mut client = server.client().await;
    client.send(head).await;
    let response = client.response().await;
    assert_eq!(response.body, HELLO, "{head}");
    assert!(
        response.closes(),
        "expected `Connection: close` in the response to {head:?}, got {response:?}"
    );
    let _ = client.try_send(body).await;
    client.assert_closed().await;
}

async fn small_body_is_drained_after_response(subject: AnySubject) {
    retry_if_late_with(READING, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut client = server.client().await;
        for _ in 0..100 {
            timer.restart();
            client.send(post("/", 20)).await;
            client.send(pattern(20)).await;
            timer.step();
            let response = client.response().await;
            assert!(response.body == HELLO && !response.closes(), "{response:?}");
        }
        assert_eq!(client.get("/").await.body, HELLO);
        server.wait_for_connections(1).await;
    })
    .await;
}

async fn late_body_is_drained_after_response(subject: AnySubject) {
    retry_if_late_with(READING, subject, |subject, _, timer| async move {
        let server = subject.serve();
        for length in [1, 20, 5000, MAX_DISCARDED] {
            let mut client = server.client().await;
            timer.restart();
            client.send(post("/", length)).await;
            let response = client.response().await;
            assert!(
                response.body == HELLO && !response.closes(),
                "expected `Hello, World!` and a kept-alive connection after {length} bytes, got {response:?}"
            );
            client.send(pattern(length)).await;
            timer.step();
            assert_eq!(
                client.get("/host").await.body,
                "test",
                "the request after an unread body of {length} bytes"
            );
        }
    })
    .await;
}

/// Otherwise a connection that waits would occupy a permit.
async fn missing_body_closes_connection_soon(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send(post("/", 20)).await;
    assert_eq!(client.response().await.body, HELLO);
    client.send(&pattern(10)).await;
    client.assert_closed().await;
    drop(client);
    server.wait_for_connections(0).await;
}

async fn chunked_body_closes_connection(subject: AnySubject) {
    let server = subject.serve();
    let head = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_last_response(&server, head, b"5\r\nhello\r\n0\r\n\r\n").await;
}

async fn large_body_closes_connection(subject: AnySubject) {
    let server = subject.serve();
    assert_last_response(
        &server,
        &post("/", MAX_DISCARDED + 1),
        &pattern(MAX_DISCARDED + 1),
    )
    .await;
}

/// RFC 9110 10.1.1: the client sends no body without a 100, and the server sends none here.
async fn unsent_expected_body_closes_connection(subject: AnySubject) {
    let server = subject.serve();
    let head =
        "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n";
    assert_last_response(&server, head, b"").await;
}

async fn body_is_drained_after_error_response(subject: AnySubject) {
    retry_if_late_with(READING, subject, |subject, _, timer| async move {
        let server = subject.serve();
        for path in ["/error", "/panic"] {
            let mut client = server.client().await;
            timer.restart();
            client.send(post(path, 20)).await;
            let response = client.response().await;
            assert!(
                response.status == 500 && !response.closes(),
                "expected a 500 and a kept-alive connection for {path}, got {response:?}"
            );
            client.send(pattern(20)).await;
            timer.step();
            client.send(get("/host")).await;
            assert_eq!(
                client.response().await.body,
                "test",
                "the request after the error response to {path}"
            );
        }
    })
    .await;
}
