//! Responses with and without content (RFC 9110 6.4, 8.6, 15). Invalid responses of an app are
//! corrected or not sent.
use crate::{
    app::{HELLO, response::FIRST_FRAME, script::pattern},
    cases::observer::Log,
    client::{Client, get, h2::request},
    harness::{any_subject::AnySubject, case::cases, test_server::TestServer},
};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncReadExt;

cases![
    h2_response_to_head_ends_with_headers,
    h2_response_without_content_ends_with_headers,
    status_205_has_no_content,
    informational_status_from_app_becomes_500,
    unrequested_upgrade_becomes_500,
    wrong_content_length_is_corrected,
    body_of_undeclared_length_closes_connection,
    h2_body_of_undeclared_length_resets_stream,
    http_1_0_failed_body_resets_connection needs Reset under RESET,
    http_1_0_aborted_body_resets_connection needs Reset under RESET,
];

fn serve(subject: &AnySubject) -> (TestServer, Log) {
    let log = Log::default();
    let observer = log.clone();
    (
        subject.serve_configured(|server| server.observer(observer)),
        log,
    )
}

/// The head of a response over HTTP/2, and whether the stream ends with it.
async fn h2_head(server: &TestServer, method: Method, path: &str) -> (StatusCode, HeaderMap, bool) {
    let mut h2 = server.h2().await;
    let mut request = request(path);
    *request.method_mut() = method;
    let (response, _) = h2.begin(request, true).await.unwrap();
    let (head, stream) = response.await.unwrap().into_parts();
    (head.status, head.headers, stream.is_end_stream())
}

fn length(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("content-length")
        .map(|length| length.to_str().unwrap())
}

/// RFC 9110 9.3.2
async fn h2_response_to_head_ends_with_headers(subject: AnySubject) {
    let server = subject.serve();
    for (path, status, announced) in [
        ("/", 200, Some("13")),
        ("/bytes/100000", 200, Some("100000")),
        ("/chunks/1000", 200, None),
        ("/response/200/1000/0/sized", 200, Some("1000")),
        ("/response/404/-/7/sized", 404, Some("7")),
        ("/error", 500, Some("15")),
        ("/panic", 500, Some("15")),
    ] {
        let (got, headers, is_all) = h2_head(&server, Method::HEAD, path).await;
        assert_eq!(
            (got.as_u16(), length(&headers)),
            (status, announced),
            "{path}"
        );
        assert!(is_all, "{path}");
    }
}

/// RFC 9110 15.3.5, 15.3.6, 15.4.5
async fn h2_response_without_content_ends_with_headers(subject: AnySubject) {
    let server = subject.serve();
    for (path, announced) in [
        ("/response/204/-/5/sized", None),
        ("/response/204/5/5/stream", None),
        ("/response/205/5/5/sized", None),
        ("/response/304/5/5/sized", Some("5")),
        ("/response/304/-/5/stream", None),
    ] {
        let (_, headers, is_all) = h2_head(&server, Method::GET, path).await;
        assert!(is_all, "{path}");
        assert_eq!(length(&headers), announced, "{path}");
    }
}

async fn status_205_has_no_content(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let mut client = server.client().await;
    for path in ["/response/205/5/5/sized", "/response/205/-/5/sized"] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, response.header("content-length")),
            (205, Some("0"))
        );
        assert_eq!(
            client.get("/").await.body,
            HELLO,
            "the next response on the connection, which must begin at once"
        );
        assert!(log.bad_responses(1).await[0].contains("205"));
    }
}

async fn informational_status_from_app_becomes_500(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for status in [100, 101, 103, 199] {
        let path = format!("/response/{status}/-/5/sized");
        let mut client = server.client().await;
        client.send(get(&path)).await;
        assert_eq!(client.response().await.status, 500, "{status}");
        assert_eq!(
            server.h2().await.get(&path).await.status,
            500,
            "the app responds with {status} over HTTP/2"
        );
        let reasons = log.bad_responses(2).await;
        assert!(
            reasons[0].contains("1xx"),
            "expected a reason that names 1xx, got {reasons:?}"
        );
    }
}

/// RFC 9110 7.8: 101 responds only to an HTTP/1.1 request with `Upgrade`.
async fn unrequested_upgrade_becomes_500(subject: AnySubject) {
    let server = subject.serve();
    for request in [
        "GET /upgrade HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /upgrade HTTP/1.0\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    ] {
        assert_eq!(server.exchange(request).await.status, 500, "{request}");
    }
    assert_eq!(
        server.h2().await.get("/upgrade").await.status,
        500,
        "over HTTP/2"
    );
}

async fn wrong_content_length_is_corrected(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for claimed in ["4", "6", "0", "5x", "-5", "99999999999999999999"] {
        let path = format!("/response/200/{claimed}/5/sized");
        let mut client = server.client().await;
        for _ in 0..2 {
            let response = client.get(&path).await;
            assert_eq!(
                response.header("content-length"),
                Some("5"),
                "the app declared a Content-Length of {claimed}"
            );
            assert_eq!(
                response.body,
                pattern(5),
                "the app declared a Content-Length of {claimed}"
            );
        }
        assert_eq!(
            server.h2().await.get(&path).await.body,
            pattern(5),
            "the app declared a Content-Length of {claimed}, over HTTP/2"
        );
        log.bad_responses(3).await;
        // For a body of unknown length, hyper uses chunked instead.
        let response = client.get("/response/200/5x/5/stream").await;
        assert_eq!(
            (response.header("content-length"), &*response.body),
            (None, &*pattern(5))
        );
        log.bad_responses(1).await;
    }
    // A correct length is not changed.
    let right = server.exchange(&get("/response/200/5/5/sized")).await;
    assert_eq!(
        (right.header("content-length"), &*right.body),
        (Some("5"), &*pattern(5))
    );
    log.bad_responses(0).await;
}

async fn body_of_undeclared_length_closes_connection(subject: AnySubject) {
    let (server, log) = serve(&subject);
    for announced in [4, 6] {
        let mut client = server.client().await;
        // A second response would be parsed as part of this one.
        let wrong = get(&format!("/response/200/{announced}/5/stream"));
        client.send(format!("{wrong}{}", get("/"))).await;
        let got = client.read_to_close().await;
        let head = got.windows(4).position(|end| end == b"\r\n\r\n");
        let body = head.map_or(0, |head| got.len() - (head + 4));
        assert!(
            body < announced,
            "expected a truncated body, since the app declared {announced} bytes; got {got:?}"
        );
        server.wait_for_connections(0).await;
        log.bad_responses(1).await;
    }
    let mut client = server.client().await;
    for _ in 0..2 {
        assert_eq!(
            client.get("/response/200/5/5/stream").await.body,
            pattern(5)
        );
    }
    log.bad_responses(0).await;
}

async fn h2_body_of_undeclared_length_resets_stream(subject: AnySubject) {
    let (server, log) = serve(&subject);
    let mut h2 = server.h2().await;
    for announced in [4, 6] {
        let path = format!("/response/200/{announced}/5/stream");
        let error = h2.try_get(&path).await.unwrap_err();
        assert!(
            error.is_reset() && error.is_remote(),
            "{announced}: {error}"
        );
        log.bad_responses(1).await;
    }
    assert_eq!(h2.get("/response/200/5/5/stream").await.body, pattern(5));
    assert_eq!(
        h2.get("/").await.body,
        HELLO,
        "GET / on another stream, which must not be affected"
    );
}

/// The body ends with its connection (RFC 9112 6.3).
async fn http_1_0_failed_body_resets_connection(subject: AnySubject) {
    let server = subject.serve();
    for path in ["/fails-later", "/panics-later"] {
        for keep in ["", "Connection: keep-alive\r\n"] {
            let mut client = begin_response(&server, path, keep).await;
            server.state.arrived().await;
            server.state.release();
            assert_reset(&mut client).await;
        }
    }
    // A complete body ends with a FIN.
    let mut client = server.client().await;
    client.send("GET /chunks/1000 HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, pattern(3000));
    assert!(matches!(client.io.read(&mut [0]).await, Ok(0)));
}

async fn http_1_0_aborted_body_resets_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut client = begin_response(&server, "/fails-later", "").await;
    let aborted = server.handle.abort();
    assert_reset(&mut client).await;
    let _ = aborted.await;
}

/// A client that has received the beginning of a response.
async fn begin_response(server: &TestServer, path: &str, fields: &str) -> Client {
    let mut client = server.client().await;
    client
        .send(format!("GET {path} HTTP/1.0\r\n{fields}\r\n"))
        .await;
    assert_eq!(client.head().await.unwrap().status, 200, "{path}");
    assert_eq!(
        client.exactly(FIRST_FRAME.len()).await.unwrap(),
        FIRST_FRAME,
        "{path}"
    );
    client
}

/// Asserts that the connection ends with an error, and not with EOF.
async fn assert_reset(client: &mut Client) {
    let end = client.io.read(&mut [0]).await;
    assert!(end.is_err(), "expected a reset, got {end:?}");
}
