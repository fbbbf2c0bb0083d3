//! An axum app gives the same responses over every transport as over `axum::serve`: status, headers
//! and body.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
#[path = "../../draining.rs"]
#[expect(dead_code, reason = "the `main` of the program is not called")]
mod draining;
mod drains;
mod notes;
mod servers;
mod starts;
mod tls;
mod tokio_app;
mod transport_table;

use anyport::http::StatusCode;
use axum::Router;
use bytes::Bytes;
use client::{Client, TestRequest, TestResponse, Version, get, request};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use notes::{Notes, router};
use servers::{Stream, TRANSPORTS, TestServer};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/axum_app/assets");
/// Upper bound of every wait. Only a test that hangs reaches it.
const TIMEOUT: Duration = Duration::from_secs(60);
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn app() -> (Notes, Router) {
    let notes = Notes::default();
    (notes.clone(), router(notes, ASSETS.into()))
}

/// Requests that are sent one after another on one connection. Each has its expected status, a
/// header, and the beginning of the body.
const REQUESTS: &[(TestRequest, u16, (&str, &str), &str)] = &[
    (
        request("POST", "/notes", &[JSON], r#"{"text":"buy milk"}"#),
        201,
        ("content-type", "application/json"),
        r#"{"id":1,"text":"buy milk"}"#,
    ),
    (
        request("POST", "/notes/form", &[FORM], "text=buy+bread+%26+jam"),
        303,
        ("location", "/"),
        "",
    ),
    (
        get("/notes/2"),
        200,
        ("content-length", "33"),
        r#"{"id":2,"text":"buy bread & jam"}"#,
    ),
    (
        get("/notes?containing=milk"),
        200,
        ID,
        r#"[{"id":1,"text":"buy milk"}]"#,
    ),
    (
        get("/notes"),
        200,
        ID,
        r#"[{"id":1,"text":"buy milk"},{"id":2"#,
    ),
    (
        request("GET", "/notes/1", &[("x-request-id", "mine")], ""),
        200,
        ("x-request-id", "mine"),
        r#"{"id":1"#,
    ),
    (
        request("HEAD", "/notes/1", &[], ""),
        200,
        ("content-length", "26"),
        "",
    ),
    // Invalid requests.
    (get("/notes/3"), 404, ID, ""),
    (
        get("/notes/one"),
        400,
        ID,
        "Invalid URL: Cannot parse `one`",
    ),
    (get("/nowhere"), 404, ID, ""),
    (
        request("DELETE", "/notes", &[], ""),
        405,
        ("allow", "GET,HEAD,POST"),
        "",
    ),
    (
        request("POST", "/notes", &[JSON], "{"),
        400,
        ID,
        "Failed to parse the request body as JSON",
    ),
    (
        request("POST", "/notes", &[JSON], "{}"),
        422,
        ID,
        "Failed to deserialize the JSON body",
    ),
    (
        request("POST", "/notes", &[], "{}"),
        415,
        ID,
        "Expected request with `Content-Type: application/json`",
    ),
    (
        request("POST", "/notes/form", &[FORM], "note=1"),
        422,
        ID,
        "Failed to deserialize form body",
    ),
    (
        get("/notes/events?after=x"),
        400,
        ID,
        "Failed to deserialize query string",
    ),
    // Static files.
    (
        get("/"),
        200,
        ("content-type", "text/html"),
        "<!doctype html>",
    ),
    (
        request("GET", "/index.html", &[("range", "bytes=2-8")], ""),
        206,
        ("content-range", "bytes 2-8/"),
        "doctype",
    ),
    (
        request(
            "GET",
            "/index.html",
            &[("if-modified-since", "Fri, 31 Dec 9999 23:59:59 GMT")],
            "",
        ),
        304,
        ID,
        "",
    ),
    (get("/../Cargo.toml"), 404, ID, ""),
    (
        request("GET", "/index.html", &[("accept-encoding", "gzip")], ""),
        200,
        ("content-encoding", "gzip"),
        "<!doctype html>",
    ),
];

const ID: (&str, &str) = ("x-request-id", "<uuid>");

async fn responses(served: TestServer, version: Version) -> Vec<TestResponse> {
    let mut client = Client::connect(&served, version).await;
    let mut responses = Vec::new();
    for (request, ..) in REQUESTS {
        responses.push(client.send(request).await);
    }
    drop(client);
    served.drain().await;
    responses
}

/// Compares the reference with the expected responses, and every transport with the reference.
async fn assert_same_responses(version: Version) {
    let reference = responses(TestServer::reference(app().1), version).await;
    for ((request, status, (name, value), body), response) in REQUESTS.iter().zip(&reference) {
        assert_eq!(response.status, *status, "{request:?}: {response:?}");
        let header = response.header(name).unwrap_or_default();
        assert!(header.starts_with(value), "{request:?}: {response:?}");
        assert!(
            response.body.starts_with(body.as_bytes()),
            "{request:?}: {response:?}"
        );
    }
    // All transports run at once, because each mostly waits for its drain.
    let all =
        join_all(TRANSPORTS.iter().map(async |(name, _, serve)| {
            (name, responses(serve(app().1).started(), version).await)
        }));
    for (name, responses) in all.await {
        assert_eq!(responses.len(), reference.len());
        for (((request, ..), response), expected) in REQUESTS.iter().zip(&responses).zip(&reference)
        {
            assert_eq!(response, expected, "{version:?} over {name}: {request:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_responses_are_the_same_over_every_transport() {
    assert_same_responses(Version::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_responses_are_the_same_over_every_transport() {
    assert_same_responses(Version::Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_know_their_peer_over_every_transport() {
    let user = format!(" as user {}\n", rustix::process::geteuid().as_raw());
    let user = user.as_str();
    let all = TRANSPORTS.iter().map(async |(name, (peer, how), serve)| {
        for version in [Version::Http1, Version::Http2] {
            let served = serve(app().1).started();
            let mut client = Client::connect(&served, version).await;
            let response = client.send(&get("/whoami")).await;
            let text = response.text();
            assert_eq!(response.status, StatusCode::OK, "{name}: {text}");
            assert!(
                text.starts_with(&format!("You are {peer}")),
                "{name}: {text}"
            );
            assert!(
                text.contains(&format!(", connected {how}")),
                "{name}: {text}"
            );
            assert_eq!(text.ends_with(&user), *peer == "unix:", "{name}: {text}");
            drop(client);
            served.drain().await;
        }
    });
    join_all(all).await;
    let served = TestServer::reference(app().1);
    let mut client = Client::connect(&served, Version::Http1).await;
    let response = client.send(&get("/whoami")).await;
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        response.text().contains("anyport::axum::app"),
        "{response:?}"
    );
}

/// The events that a client receives while another client adds notes. The drain must not abort
/// them.
async fn events(served: TestServer, notes: Notes, version: Version) -> Vec<Bytes> {
    let (mut listening, mut adding) = (
        Client::connect(&served, version).await,
        Client::connect(&served, version).await,
    );
    let mut events = Vec::new();
    let response = listening.begin(&get("/notes/events")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for request in [
        request("POST", "/notes", &[JSON], r#"{"text":"buy milk"}"#),
        request("POST", "/notes", &[JSON], r#"{"text":"buy bread"}"#),
    ] {
        assert_eq!(adding.send(&request).await.status, StatusCode::CREATED);
        // The event must arrive before the next note is added, so nothing may buffer it.
        let frame = timeout(TIMEOUT, body.frame()).await.unwrap();
        events.push(frame.unwrap().unwrap().into_data().unwrap());
    }
    drop(adding);
    let draining = tokio::spawn(served.drain());
    notes.close();
    let rest = timeout(TIMEOUT, body.collect()).await.unwrap();
    assert_eq!(
        rest.unwrap().to_bytes(),
        "",
        "expected the events to end without an abort"
    );
    drop(listening);
    draining.await.unwrap();
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_one_by_one_over_every_transport() {
    for version in [Version::Http1, Version::Http2] {
        let (notes, router) = app();
        let reference = events(TestServer::reference(router), notes, version).await;
        let expected = [
            "id: 1\ndata: {\"id\":1,\"text\":\"buy milk\"}\n\n",
            "id: 2\ndata: {\"id\":2,\"text\":\"buy bread\"}\n\n",
        ];
        assert_eq!(reference, expected);
        let all = TRANSPORTS.iter().map(async |(name, _, serve)| {
            let (notes, router) = app();
            (name, events(serve(router).started(), notes, version).await)
        });
        for (name, events) in join_all(all).await {
            assert_eq!(events, reference, "{version:?} over {name}");
        }
    }
}

/// The examples of RFC 6455 1.2 and 5.7.
const WEB_SOCKET: &str = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   X-Request-Id: mine\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

/// Writes and flushes. Over TLS, written bytes may wait for a flush, because tokio limits the work
/// of a task.
async fn send(stream: &mut Box<dyn Stream>, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// The head of a response.
async fn head(stream: &mut Box<dyn Stream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(
            timeout(TIMEOUT, stream.read_u8())
                .await
                .unwrap()
                .unwrap()
                .into(),
        );
    }
    head
}

/// Asserts the next frame of a WebSocket.
async fn expect_frame(stream: &mut Box<dyn Stream>, frame: &[u8]) {
    let mut got = vec![0; frame.len()];
    timeout(TIMEOUT, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(got, frame);
}

/// The head of the response, and the echo of two messages and a close.
async fn web_socket(served: TestServer) -> (String, Vec<u8>) {
    let mut stream = served.connect(Version::Http1).await;
    send(&mut stream, WEB_SOCKET.as_bytes()).await;
    let head = head(&mut stream).await;
    let mut echoed = Vec::new();
    for _ in 0..2 {
        send(&mut stream, HELLO).await;
        let mut message = [0; 7];
        stream.read_exact(&mut message).await.unwrap();
        echoed.extend(message);
    }
    let close = b"\x88\x82\0\0\0\0\x03\xe8";
    send(&mut stream, close).await;
    // Axum drops a closed WebSocket: over TLS, without a close_notify.
    if let Err(error) = timeout(TIMEOUT, stream.read_to_end(&mut echoed))
        .await
        .unwrap()
    {
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
    served.drain().await;
    let mut lines: Vec<_> = head
        .lines()
        .filter(|line| !line.starts_with("date: "))
        .collect();
    lines.sort_unstable();
    (lines.join("\n"), echoed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_socket_is_the_same_over_every_transport() {
    let reference = web_socket(TestServer::reference(app().1)).await;
    assert!(
        reference.0.contains("HTTP/1.1 101 Switching Protocols"),
        "{reference:?}"
    );
    let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert!(reference.0.contains(accept), "{reference:?}");
    assert_eq!(reference.1, b"\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8");
    for (name, _, serve) in TRANSPORTS {
        assert_eq!(
            web_socket(serve(app().1).started()).await,
            reference,
            "over {name}"
        );
    }
}
