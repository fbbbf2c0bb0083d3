//! Responses with and without content (RFC 9110 6.4, 8.6, 15): mistakes of the app are corrected.
use crate::{
    app::{HELLO, answer::BEGUN, script::pattern},
    cases::observer::Log,
    client::{Client, get, h2::request},
    harness::{case::cases, running::Running, site::Site},
};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::AsyncReadExt;

cases![
    h2_an_answer_to_head_ends_with_its_head,
    h2_answers_without_content_end_with_their_heads,
    a_205_has_no_content,
    an_informational_status_is_no_final_one,
    a_connection_becomes_what_was_asked_for_or_nothing,
    a_wrong_content_length_is_corrected,
    a_body_that_is_not_as_long_as_announced_ends_its_connection,
    h2_a_body_that_is_not_as_long_as_announced_ends_its_stream,
    http_1_0_a_body_that_fails_is_no_complete_one needs Reset,
    http_1_0_a_body_that_is_aborted_is_no_complete_one needs Reset,
];

fn serve(site: &Site) -> (Running, Log) {
    let log = Log::default();
    let observer = log.clone();
    (site.serve_as(|server| server.observer(observer)), log)
}

/// The head of a response over HTTP/2, and whether it's all there is.
async fn h2_head(server: &Running, method: Method, path: &str) -> (StatusCode, HeaderMap, bool) {
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
async fn h2_an_answer_to_head_ends_with_its_head(site: Site) {
    let server = site.serve();
    for (path, status, announced) in [
        ("/", 200, Some("13")),
        ("/bytes/100000", 200, Some("100000")),
        ("/chunks/1000", 200, None),
        ("/answer/200/1000/0/sized", 200, Some("1000")),
        ("/answer/404/-/7/sized", 404, Some("7")),
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
async fn h2_answers_without_content_end_with_their_heads(site: Site) {
    let server = site.serve();
    for (path, announced) in [
        ("/answer/204/-/5/sized", None),
        ("/answer/204/5/5/stream", None),
        ("/answer/205/5/5/sized", None),
        ("/answer/304/5/5/sized", Some("5")),
        ("/answer/304/-/5/stream", None),
    ] {
        let (_, headers, is_all) = h2_head(&server, Method::GET, path).await;
        assert!(is_all, "{path}");
        assert_eq!(length(&headers), announced, "{path}");
    }
}

async fn a_205_has_no_content(site: Site) {
    let (server, log) = serve(&site);
    let mut client = server.client().await;
    for path in ["/answer/205/5/5/sized", "/answer/205/-/5/sized"] {
        let response = client.get(path).await;
        assert_eq!(
            (response.status, response.header("content-length")),
            (205, Some("0"))
        );
        assert_eq!(
            client.get("/").await.body,
            HELLO,
            "the next response begins at once"
        );
        assert!(log.bad_responses(1).await[0].contains("205"));
    }
}

async fn an_informational_status_is_no_final_one(site: Site) {
    let (server, log) = serve(&site);
    for status in [100, 101, 103, 199] {
        let path = format!("/answer/{status}/-/5/sized");
        let mut client = server.client().await;
        client.send(get(&path)).await;
        assert_eq!(client.response().await.status, 500, "{status}");
        assert_eq!(
            server.h2().await.get(&path).await.status,
            500,
            "{status} over HTTP/2"
        );
        let told = log.bad_responses(2).await;
        assert!(told[0].contains("1xx"), "{told:?}");
    }
}

/// RFC 9110 7.8: 101 is for whom asked for it, in HTTP/1.1.
async fn a_connection_becomes_what_was_asked_for_or_nothing(site: Site) {
    let server = site.serve();
    for request in [
        "GET /upgrade HTTP/1.1\r\nHost: test\r\n\r\n",
        "GET /upgrade HTTP/1.0\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    ] {
        assert_eq!(server.ask(request).await.status, 500, "{request}");
    }
    assert_eq!(
        server.h2().await.get("/upgrade").await.status,
        500,
        "over HTTP/2"
    );
}

async fn a_wrong_content_length_is_corrected(site: Site) {
    let (server, log) = serve(&site);
    for claimed in ["4", "6", "0", "5x", "-5", "99999999999999999999"] {
        let path = format!("/answer/200/{claimed}/5/sized");
        let mut client = server.client().await;
        for _ in 0..2 {
            let response = client.get(&path).await;
            assert_eq!(response.header("content-length"), Some("5"), "{claimed}");
            assert_eq!(response.body, pattern(5), "{claimed}");
        }
        assert_eq!(
            server.h2().await.get(&path).await.body,
            pattern(5),
            "{claimed} over HTTP/2"
        );
        log.bad_responses(3).await;
        // Of nothing that's known beforehand, hyper tells the end in another way.
        let response = client.get("/answer/200/5x/5/stream").await;
        assert_eq!(
            (response.header("content-length"), &*response.body),
            (None, &*pattern(5))
        );
        log.bad_responses(1).await;
    }
    // What's right is left alone.
    let right = server.ask(&get("/answer/200/5/5/sized")).await;
    assert_eq!(
        (right.header("content-length"), &*right.body),
        (Some("5"), &*pattern(5))
    );
    log.bad_responses(0).await;
}

async fn a_body_that_is_not_as_long_as_announced_ends_its_connection(site: Site) {
    let (server, log) = serve(&site);
    for announced in [4, 6] {
        let mut client = server.client().await;
        // Behind it, a response would be read as a part of this one.
        let wrong = get(&format!("/answer/200/{announced}/5/stream"));
        client.send(format!("{wrong}{}", get("/"))).await;
        let got = client.rest().await;
        let head = got.windows(4).position(|end| end == b"\r\n\r\n");
        let body = head.map_or(0, |head| got.len() - (head + 4));
        assert!(body < announced, "{announced}: {got:?}");
        server.settles(0).await;
        log.bad_responses(1).await;
    }
    let mut client = server.client().await;
    for _ in 0..2 {
        assert_eq!(client.get("/answer/200/5/5/stream").await.body, pattern(5));
    }
    log.bad_responses(0).await;
}

async fn h2_a_body_that_is_not_as_long_as_announced_ends_its_stream(site: Site) {
    let (server, log) = serve(&site);
    let mut h2 = server.h2().await;
    for announced in [4, 6] {
        let path = format!("/answer/200/{announced}/5/stream");
        let error = h2.try_get(&path).await.unwrap_err();
        assert!(
            error.is_reset() && error.is_remote(),
            "{announced}: {error}"
        );
        log.bad_responses(1).await;
    }
    assert_eq!(h2.get("/answer/200/5/5/stream").await.body, pattern(5));
    assert_eq!(h2.get("/").await.body, HELLO, "the others go on");
}

/// Its end is that of its connection (RFC 9112 6.3).
async fn http_1_0_a_body_that_fails_is_no_complete_one(site: Site) {
    let server = site.serve();
    for path in ["/fails-later", "/panics-later"] {
        for keep in ["", "Connection: keep-alive\r\n"] {
            let mut client = begun(&server, path, keep).await;
            server.state.arrived().await;
            server.state.release();
            fails(&mut client).await;
        }
    }
    // One that doesn't fail ends in order.
    let mut client = server.client().await;
    client.send("GET /chunks/1000 HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.response().await.body, pattern(3000));
    assert!(matches!(client.io.read(&mut [0]).await, Ok(0)));
}

async fn http_1_0_a_body_that_is_aborted_is_no_complete_one(site: Site) {
    let server = site.serve();
    let mut client = begun(&server, "/fails-later", "").await;
    let aborted = server.handle.abort();
    fails(&mut client).await;
    let _ = aborted.await;
}

/// A client that has the beginning of a response.
async fn begun(server: &Running, path: &str, fields: &str) -> Client {
    let mut client = server.client().await;
    client
        .send(format!("GET {path} HTTP/1.0\r\n{fields}\r\n"))
        .await;
    assert_eq!(client.head().await.unwrap().status, 200, "{path}");
    assert_eq!(client.exactly(BEGUN.len()).await.unwrap(), BEGUN, "{path}");
    client
}

/// The connection ends, and not in order.
async fn fails(client: &mut Client) {
    let end = client.io.read(&mut [0]).await;
    assert!(end.is_err(), "{end:?}");
}
