//! The rules for `Host` and `:authority` (RFC 9112 3.2, RFC 9113 8.3.1).
use crate::{
    client::h2::request,
    harness::{case::cases, site::Site},
};
use http::{StatusCode, header::HOST};

cases![
    http_1_1_without_a_host_is_a_400,
    two_hosts_are_a_400,
    an_invalid_host_is_a_400,
    an_empty_host_is_one,
    absolute_target_replaces_host,
    a_target_that_cannot_be_believed_is_a_400,
    http_1_0_needs_no_host,
    after_a_400_the_connection_goes_on_or_closes_cleanly,
    http_2_authority_and_host_have_to_agree,
];

async fn status_of(site: &Site, request: &str) -> u16 {
    site.serve().ask(request).await.status
}

async fn http_1_1_without_a_host_is_a_400(site: Site) {
    assert_eq!(status_of(&site, "GET / HTTP/1.1\r\n\r\n").await, 400);
    assert_eq!(
        status_of(&site, "GET http://test/ HTTP/1.1\r\n\r\n").await,
        400
    );
}

async fn two_hosts_are_a_400(site: Site) {
    assert_eq!(
        status_of(&site, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await,
        400
    );
    assert_eq!(
        status_of(&site, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").await,
        400
    );
    assert_eq!(
        status_of(&site, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n").await,
        400
    );
}

async fn an_invalid_host_is_a_400(site: Site) {
    for host in [
        "a b", "a/b", "u@a", "a:b", "a:65536", "[::1", "a, b", "\u{e4}",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        // A comma is a sub-delimiter: it may be in a name (RFC 3986 3.2.2), but a space may not.
        assert_eq!(status_of(&site, &request).await, 400, "{host}");
    }
}

async fn an_empty_host_is_one(site: Site) {
    assert_eq!(
        status_of(&site, "GET / HTTP/1.1\r\nHost:\r\n\r\n").await,
        200
    );
}

async fn absolute_target_replaces_host(site: Site) {
    let server = site.serve();
    let response = server
        .ask("GET http://right:81/host HTTP/1.1\r\nHost: wrong\r\n\r\n")
        .await;
    assert_eq!((response.status, &*response.body), (200, &b"right:81"[..]));
    let response = server
        .ask("GET /host HTTP/1.1\r\nHost: right\r\n\r\n")
        .await;
    assert_eq!(response.body, "right");
}

async fn a_target_that_cannot_be_believed_is_a_400(site: Site) {
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
        assert_eq!(status_of(&site, &request).await, 400, "{begin}");
    }
}

async fn http_1_0_needs_no_host(site: Site) {
    let server = site.serve();
    let response = server.ask("GET /host HTTP/1.0\r\n\r\n").await;
    assert_eq!((response.status, &*response.body), (200, &b"none"[..]));
}

async fn after_a_400_the_connection_goes_on_or_closes_cleanly(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let refused = client.response().await;
    assert_eq!(refused.status, 400);
    assert!(!refused.body.is_empty(), "it says what's wrong");
    if refused.closes() {
        client.closed().await;
    } else {
        assert_eq!(client.get("/").await.status, 200);
    }
}

async fn http_2_authority_and_host_have_to_agree(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    for (host, status) in [("other", StatusCode::BAD_REQUEST), ("TEST", StatusCode::OK)] {
        let mut request = request("/host");
        request.headers_mut().insert(HOST, host.parse().unwrap());
        let (response, _) = h2.begin(request, true).await.unwrap();
        assert_eq!(response.await.unwrap().status(), status, "Host: {host}");
    }
    assert_eq!(h2.get("/host").await.body, "test", ":authority alone");
}
