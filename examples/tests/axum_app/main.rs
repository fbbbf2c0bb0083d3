//! The example's app answers the same over every transport as over `axum::serve`: status, all
//! headers, body.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
#[path = "../../draining.rs"]
#[expect(dead_code, reason = "it's a program, whose `main` isn't run here")]
mod draining;
mod drains;
#[path = "../../axum_app.rs"]
#[expect(dead_code, reason = "it's a program, whose `main` isn't run here")]
mod example;
mod place;
mod secure;
mod starts;
mod whole;

use anyport::StatusCode;
use axum::Router;
use bytes::Bytes;
use client::{Answer, Ask, Client, Version, ask, get};
use example::{Notes, router};
use futures_util::future::join_all;
use http_body_util::BodyExt;
use place::{Place, Stream, WAYS};
use std::{io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
/// Nothing here takes nearly so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn app() -> (Notes, Router) {
    let notes = Notes::default();
    (notes.clone(), router(notes, ASSETS.into()))
}

/// Asked one after another, on one connection. With each is what has to be in the answer at least:
/// status, a header, the body's beginning.
const ASKS: &[(Ask, u16, (&str, &str), &str)] = &[
    (
        ask("POST", "/notes", &[JSON], r#"{"text":"buy milk"}"#),
        201,
        ("content-type", "application/json"),
        r#"{"id":1,"text":"buy milk"}"#,
    ),
    (
        ask("POST", "/notes/form", &[FORM], "text=buy+bread+%26+jam"),
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
        ask("GET", "/notes/1", &[("x-request-id", "mine")], ""),
        200,
        ("x-request-id", "mine"),
        r#"{"id":1"#,
    ),
    (
        ask("HEAD", "/notes/1", &[], ""),
        200,
        ("content-length", "26"),
        "",
    ),
    // What a client may do wrong.
    (get("/notes/3"), 404, ID, ""),
    (
        get("/notes/one"),
        400,
        ID,
        "Invalid URL: Cannot parse `one`",
    ),
    (get("/nowhere"), 404, ID, ""),
    (
        ask("DELETE", "/notes", &[], ""),
        405,
        ("allow", "GET,HEAD,POST"),
        "",
    ),
    (
        ask("POST", "/notes", &[JSON], "{"),
        400,
        ID,
        "Failed to parse the request body as JSON",
    ),
    (
        ask("POST", "/notes", &[JSON], "{}"),
        422,
        ID,
        "Failed to deserialize the JSON body",
    ),
    (
        ask("POST", "/notes", &[], "{}"),
        415,
        ID,
        "Expected request with `Content-Type: application/json`",
    ),
    (
        ask("POST", "/notes/form", &[FORM], "note=1"),
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
        ask("GET", "/index.html", &[("range", "bytes=2-8")], ""),
        206,
        ("content-range", "bytes 2-8/"),
        "doctype",
    ),
    (
        ask(
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
        ask("GET", "/index.html", &[("accept-encoding", "gzip")], ""),
        200,
        ("content-encoding", "gzip"),
        "<!doctype html>",
    ),
];

const ID: (&str, &str) = ("x-request-id", "<uuid>");

async fn answers(place: Place, version: Version) -> Vec<Answer> {
    let mut client = Client::connect(&place, version).await;
    let mut answers = Vec::new();
    for (ask, ..) in ASKS {
        answers.push(client.ask(ask).await);
    }
    drop(client);
    place.drain().await;
    answers
}

/// The reference is compared with what's known to be right, then the others with the reference.
async fn answers_are_the_same(version: Version) {
    let reference = answers(Place::reference(app().1), version).await;
    for ((ask, status, (name, value), body), answer) in ASKS.iter().zip(&reference) {
        assert_eq!(answer.status, *status, "{ask:?}: {answer:?}");
        let header = answer.header(name).unwrap_or_default();
        assert!(header.starts_with(value), "{ask:?}: {answer:?}");
        assert!(
            answer.body.starts_with(body.as_bytes()),
            "{ask:?}: {answer:?}"
        );
    }
    // All at once: most of the time, each waits for its drain.
    let all =
        join_all(WAYS.iter().map(async |(name, _, serve)| {
            (name, answers(serve(app().1).started(), version).await)
        }));
    for (name, answers) in all.await {
        assert_eq!(answers.len(), reference.len());
        for (((ask, ..), answer), expected) in ASKS.iter().zip(&answers).zip(&reference) {
            assert_eq!(answer, expected, "{version:?} over {name}: {ask:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_answers_are_the_same_over_every_transport() {
    answers_are_the_same(Version::Http1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_answers_are_the_same_over_every_transport() {
    answers_are_the_same(Version::Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_know_their_peer_over_every_transport() {
    let user = format!(" as user {}\n", rustix::process::geteuid().as_raw());
    let user = user.as_str();
    let all = WAYS.iter().map(async |(name, (peer, how), serve)| {
        for version in [Version::Http1, Version::Http2] {
            let place = serve(app().1).started();
            let mut client = Client::connect(&place, version).await;
            let answer = client.ask(&get("/whoami")).await;
            let text = answer.text();
            assert_eq!(answer.status, StatusCode::OK, "{name}: {text}");
            assert!(
                text.starts_with(&format!("You are {peer}")),
                "{name}: {text}"
            );
            assert!(text.contains(&format!(", and ask {how}")), "{name}: {text}");
            assert_eq!(text.ends_with(&user), *peer == "unix:", "{name}: {text}");
            drop(client);
            place.drain().await;
        }
    });
    join_all(all).await;
    let place = Place::reference(app().1);
    let mut client = Client::connect(&place, Version::Http1).await;
    let answer = client.ask(&get("/whoami")).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        answer.text().contains("anyport::for_axum::app"),
        "{answer:?}"
    );
}

/// What a client sees of the events while another adds notes, and that a drain needn't abort them.
async fn events(place: Place, notes: Notes, version: Version) -> Vec<Bytes> {
    let (mut listening, mut adding) = (
        Client::connect(&place, version).await,
        Client::connect(&place, version).await,
    );
    let mut events = Vec::new();
    let response = listening.begin(&get("/notes/events")).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for ask in [
        ask("POST", "/notes", &[JSON], r#"{"text":"buy milk"}"#),
        ask("POST", "/notes", &[JSON], r#"{"text":"buy bread"}"#),
    ] {
        assert_eq!(adding.ask(&ask).await.status, StatusCode::CREATED);
        // It's there before the next one is added: nothing waits for a buffer to be full.
        let frame = timeout(PATIENCE, body.frame()).await.unwrap();
        events.push(frame.unwrap().unwrap().into_data().unwrap());
    }
    drop(adding);
    let draining = tokio::spawn(place.drain());
    notes.close();
    let rest = timeout(PATIENCE, body.collect()).await.unwrap();
    assert_eq!(
        rest.unwrap().to_bytes(),
        "",
        "the events end, they aren't cut off"
    );
    drop(listening);
    draining.await.unwrap();
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_one_by_one_over_every_transport() {
    for version in [Version::Http1, Version::Http2] {
        let (notes, router) = app();
        let reference = events(Place::reference(router), notes, version).await;
        let expected = [
            "id: 1\ndata: {\"id\":1,\"text\":\"buy milk\"}\n\n",
            "id: 2\ndata: {\"id\":2,\"text\":\"buy bread\"}\n\n",
        ];
        assert_eq!(reference, expected);
        let all = WAYS.iter().map(async |(name, _, serve)| {
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

/// Sends all of it. Over TLS, what a write took may wait for a flush: tokio lets a task wait that
/// did much already.
async fn send(stream: &mut Box<dyn Stream>, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
}

/// The head of an answer.
async fn head(stream: &mut Box<dyn Stream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(
            timeout(PATIENCE, stream.read_u8())
                .await
                .unwrap()
                .unwrap()
                .into(),
        );
    }
    head
}

/// The next frame of a WebSocket is this.
async fn expect_frame(stream: &mut Box<dyn Stream>, frame: &[u8]) {
    let mut got = vec![0; frame.len()];
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(got, frame);
}

/// The head of the answer, and what comes back of two messages and a close.
async fn web_socket(place: Place) -> (String, Vec<u8>) {
    let mut stream = place.connect(Version::Http1).await;
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
    // A WebSocket that was closed is dropped by axum: over TLS, without TLS's own close.
    if let Err(error) = timeout(PATIENCE, stream.read_to_end(&mut echoed))
        .await
        .unwrap()
    {
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
    place.drain().await;
    let mut lines: Vec<_> = head
        .lines()
        .filter(|line| !line.starts_with("date: "))
        .collect();
    lines.sort_unstable();
    (lines.join("\n"), echoed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_socket_is_the_same_over_every_transport() {
    let reference = web_socket(Place::reference(app().1)).await;
    assert!(
        reference.0.contains("HTTP/1.1 101 Switching Protocols"),
        "{reference:?}"
    );
    let accept = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    assert!(reference.0.contains(accept), "{reference:?}");
    assert_eq!(reference.1, b"\x81\x05Hello\x81\x05Hello\x88\x02\x03\xe8");
    for (name, _, serve) in WAYS {
        assert_eq!(
            web_socket(serve(app().1).started()).await,
            reference,
            "over {name}"
        );
    }
}
