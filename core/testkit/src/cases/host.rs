//! The rules about the host of a request (RFC 9112 3.2, RFC 9113 8.3.1).
use crate::{
    client::h2::request,
    harness::{any_subject::AnySubject, case::cases},
};
use http::{StatusCode, header::HOST};

cases![
    http_1_1_request_without_host_gets_400,
    two_host_headers_get_400,
    invalid_host_gets_400,
    empty_host_is_accepted,
    absolute_target_overrides_host,
    invalid_target_authority_gets_400,
    http_1_0_request_needs_no_host,
    connection_continues_or_closes_cleanly_after_400,
    http_2_host_must_match_authority,
];

async fn status_of(subject: &AnySubject, request: &str) -> u16 {
    subject.serve().exchange(request).await.status
}

async fn http_1_1_request_without_host_gets_400(subject: AnySubject) {
    assert_eq!(status_of(&subject, "GET / HTTP/1.1\r\n\r\n").await, 400);
    assert_eq!(
        status_of(&subject, "GET http://test/ HTTP/1.1\r\n\r\n").await,
        400
    );
}

async fn two_host_headers_get_400(subject: AnySubject) {
    assert_eq!(
        status_of(&subject, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await,
        400
    );
    assert_eq!(
        status_of(&subject, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await,
        400
    );
    assert_eq!(
        status_of(&subject, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").await,
        400
    );
}

async fn invalid_host_gets_400(subject: AnySubject) {
    for host in [
        "a b", "a/b", "u@a", "a:b", "a:65536", "[::1", "a, b", "\u{e4}",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        // A comma is a sub-delimiter, which a name may contain (RFC 3986 3.2.2). A space is not.
        assert_eq!(
            status_of(&subject, &request).await,
            400,
            "status for `Host: {host}`"
        );
    }
}

async fn empty_host_is_accepted(subject: AnySubject) {
    assert_eq!(
        status_of(&subject, "GET / HTTP/1.1\r\nHost:\r\n\r\n").await,
        200
    );
}

async fn absolute_target_overrides_host(subject: AnySubject) {
    let server = subject.serve();
    let response = server
        .exchange("GET http://right:81/host HTTP/1.1\r\nHost: wrong\r\n\r\n")
        .await;
    assert_eq!((response.status, &*response.body), (200, &b"right:81"[..]));
    let response = server
        .exchange("GET /host HTTP/1.1\r\nHost: right\r\n\r\n")
        .await;
    assert_eq!(response.body, "right");
}

async fn invalid_target_authority_gets_400(subject: AnySubject) {
    for begin in [
        "GET http://:80/",
        "GET http://user@test/",
        "GET http://test:65536/",
        "GET test:80",
        "CONNECT test",
        "CONNECT http://test:80/",
        "CONNECT /",
    ] {
        let request = format!("{begin} HTTP/1.1\r\nHost: test\r\n\r\n");
        assert_eq!(
            status_of(&subject, &request).await,
            400,
            "status for the request line {begin}"
        );
    }
}

async fn http_1_0_request_needs_no_host(subject: AnySubject) {
    let server = subject.serve();
    let response = server.exchange("GET /host HTTP/1.0\r\n\r\n").await;
    assert_eq!((response.status, &*response.body), (200, &b"none"[..]));
}

async fn connection_continues_or_closes_cleanly_after_400(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let refused = client.response().await;
    assert_eq!(refused.status, 400);
    assert!(
        !refused.body.is_empty(),
        "expected an error message in the body"
    );
    if refused.closes() {
        client.assert_closed().await;
    } else {
        assert_eq!(client.get("/").await.status, 200);
    }
}

async fn http_2_host_must_match_authority(subject: AnySubject) {
    let server = subject.serve();
    let mut h2 = server.h2().await;
    for (host, status) in [("other", StatusCode::BAD_REQUEST), ("TEST", StatusCode::OK)] {
        let mut request = request("/host");
        request.headers_mut().insert(HOST, host.parse().unwrap());
        let (response, _) = h2.begin(request, true).await.unwrap();
        assert_eq!(
            response.await.unwrap().status(),
            status,
            "status for `:authority: test` and `Host: {host}`"
        );
    }
    assert_eq!(
        h2.get("/host").await.body,
        "test",
        "the host of a request with `:authority` only"
    );
}
