//! Servers that answer wrongly. Each answer is an error of the right kind, however it is cut.
use crate::subject::{Client, Opened, Subject};
use anyport_ws::{Error, HandshakeError, HandshakeErrorKind as Kind, Message};
use std::time::Duration;

/// An answer, with `{accept}` and `{long}` to be replaced.
pub(crate) struct Answer {
    pub(crate) name: &'static str,
    text: &'static str,
    frames: &'static [u8],
    /// Whether the server keeps the connection after the answer.
    pub(crate) holds: bool,
    /// `None`: the handshake succeeds.
    expected: Option<Kind>,
}

macro_rules! answers {
    (@or $default:expr;) => { $default };
    (@or $default:expr; $value:expr) => { $value };
    ($($name:ident: $text:expr, $expected:expr $(, frames $frames:expr)? $(, holds $holds:expr)?;)+) => {
        pub(crate) const ANSWERS: &[Answer] = &[$(Answer {
            name: stringify!($name),
            text: $text,
            frames: answers!(@or b""; $($frames)?),
            holds: answers!(@or false; $($holds)?),
            expected: $expected,
        }),+];
    };
}

macro_rules! switching {
    ($fields:expr) => {
        concat!("HTTP/1.1 101 Switching Protocols\r\n", $fields, "\r\n")
    };
}

macro_rules! accepting {
    ($fields:expr) => {
        switching!(concat!(
            "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n",
            $fields
        ))
    };
}

answers! {
    right: accepting!(""), None, frames b"\x81\x02hi\x88\x02\x03\xe8";
    after_100: concat!("HTTP/1.1 100 Continue\r\n\r\n", accepting!("")), None, frames b"\x81\x02hi\x88\x02\x03\xe8";
    masked: accepting!(""), None, frames b"\x81\x82abcdhi", holds true;
    http_1_0: "HTTP/1.0 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", Some(Kind::NotAccepted);
    no_accept: switching!("Upgrade: websocket\r\nConnection: Upgrade\r\n"), Some(Kind::NotAccepted);
    wrong_accept: switching!("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), Some(Kind::NotAccepted);
    two_accepts: accepting!("Sec-WebSocket-Accept: {accept}\r\n"), Some(Kind::NotAccepted);
    no_upgrade: switching!("Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"), Some(Kind::NotAccepted);
    other_upgrade: switching!("Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"), Some(Kind::NotAccepted);
    no_connection: switching!("Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n"), Some(Kind::NotAccepted);
    extension: accepting!("Sec-WebSocket-Extensions: permessage-deflate\r\n"), Some(Kind::Extension);
    two_extensions: accepting!("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b\r\n"), Some(Kind::Extension);
    protocol: accepting!("Sec-WebSocket-Protocol: v1\r\n"), Some(Kind::Protocol);
    two_protocols: accepting!("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n"), Some(Kind::Protocol);
    page: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some(Kind::Refused);
    redirect: "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Some(Kind::Refused);
    chunked: "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", Some(Kind::Refused);
    to_the_end: "HTTP/1.0 404 Not Found\r\n\r\nnothing here", Some(Kind::Refused);
    long_body: "HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\n\r\n{long}", Some(Kind::Refused), holds true;
    garbage: "SSH-2.0-OpenSSH_10.0\r\n", Some(Kind::InvalidResponse);
    http2: "\0\0\0\x04\0\0\0\0\0", Some(Kind::InvalidResponse);
    long_head: "HTTP/1.1 101 Switching Protocols\r\nX: {long}", Some(Kind::TooLarge), holds true;
    many_fields: "HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n", Some(Kind::TooLarge);
    nothing: "", Some(Kind::Io);
    silent: "", Some(Kind::Deadline), holds true;
    half: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: web", Some(Kind::Deadline), holds true;
    half_a_body: "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nnot", Some(Kind::Refused), holds true;
}

impl Answer {
    pub(crate) fn bytes(&self, accept: &str) -> Vec<u8> {
        let text = self.text.replace("{accept}", accept);
        let text = text.replace("{long}", &"x".repeat(90_000));
        let text = text.replace("{fields}", &"X: y\r\n".repeat(101));
        [text.as_bytes(), self.frames].concat()
    }

    fn head(&self) -> usize {
        let bytes = self.bytes(&"a".repeat(28));
        let ends = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, four)| four == b"\r\n\r\n");
        let limit = bytes.len() - self.frames.len();
        ends.map(|(n, _)| n + 4)
            .rfind(|end| *end <= limit)
            .unwrap_or(limit)
    }
}

/// A deadline that ends a handshake.
const SHORT: Duration = Duration::from_millis(300);
/// No handshake takes as long.
const LONG: Duration = Duration::from_secs(100);

async fn ask<S: Subject>(client: &Client<S>, answer: &Answer, cut: Option<usize>) -> Opened {
    let deadline = match answer.expected {
        Some(Kind::Deadline) => SHORT,
        _ => LONG,
    };
    ask_until(client, answer, cut, deadline).await
}

async fn ask_until<S: Subject>(
    client: &Client<S>,
    answer: &Answer,
    cut: Option<usize>,
    deadline: Duration,
) -> Opened {
    let cut = cut.map_or_else(|| "all".to_owned(), |cut| cut.to_string());
    let handshake = client.handshake(&format!("/{}/{cut}", answer.name));
    client.open(handshake.with_deadline(deadline)).await
}

/// The body of this answer ends at the deadline, and its head must have come before. On a busy
/// machine, that takes a longer deadline.
async fn ask_for_half_a_body<S: Subject>(client: &Client<S>, answer: &Answer) -> Opened {
    for times in [1, 5] {
        let opened = ask_until(client, answer, None, SHORT * times).await;
        let body = |error: &HandshakeError| error.response().map(|response| response.body().len());
        if !matches!(opened.as_ref().err().map(body), Some(None | Some(0))) {
            return opened;
        }
    }
    ask_until(client, answer, None, SHORT * 40).await
}

fn named(name: &str) -> &'static Answer {
    ANSWERS.iter().find(|answer| answer.name == name).unwrap()
}

pub(crate) async fn wrong_answers_are_errors_of_the_right_kind<S: Subject>(client: Client<S>) {
    for answer in ANSWERS {
        let opened = match answer.name {
            "half_a_body" => ask_for_half_a_body(&client, answer).await,
            _ => ask(&client, answer, None).await,
        };
        let kind = opened.as_ref().err().map(|error| error.kind());
        assert_eq!(kind, answer.expected, "{}: {opened:?}", answer.name);
        let Err(error) = opened else { continue };
        let text = error.to_string();
        assert!(
            text.starts_with("cannot open ws") && !text.contains('\n'),
            "{text}"
        );
        let body = error.response().map(|response| &response.body()[..]);
        match answer.name {
            "page" => assert_eq!(body, Some(&b"hello"[..])),
            "chunked" => assert_eq!(body, Some(&b"no"[..])),
            "to_the_end" => assert_eq!(body, Some(&b"nothing here"[..])),
            "half_a_body" => assert_eq!(body, Some(&b"not"[..])),
            "long_body" => assert_eq!(body.unwrap().len(), 4096),
            _ => {}
        }
    }
}

/// A right answer that is cut within its head, or within a frame, is an error as well.
pub(crate) async fn answers_cut_at_any_byte_are_errors<S: Subject>(client: Client<S>) {
    for answer in ANSWERS.iter().filter(|answer| !answer.holds) {
        let (head, all) = (answer.head(), answer.bytes(&"a".repeat(28)).len());
        // In a large answer, some positions are enough.
        for cut in (0..all).step_by(all / 300 + 1) {
            let opened = ask(&client, answer, Some(cut)).await;
            let context = format!("{}, cut at {cut} of {head}", answer.name);
            match (opened, answer.expected) {
                (Ok((mut socket, _)), None) if cut >= head => {
                    let mut last = None;
                    while let Some(received) = socket.recv().await {
                        last = Some(received);
                    }
                    assert!(
                        matches!(last, Some(Err(Error::Io(_)))),
                        "{context}: {last:?}"
                    );
                }
                (Err(error), expected) => {
                    let kind = error.kind();
                    let is_cut = kind == Kind::Io && cut < head;
                    assert!(is_cut || Some(kind) == expected, "{context}: {error}");
                }
                (opened, _) => panic!("{context}: {opened:?}"),
            }
        }
    }
}

pub(crate) async fn silent_server_meets_the_deadline<S: Subject>(client: Client<S>) {
    let error = ask(&client, named("silent"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!(error.to_string().contains("300ms"), "{error}");
}

/// The client fails the WebSocket, and sends 1002 (RFC 6455 5.1).
pub(crate) async fn masked_frame_is_a_violation<S: Subject>(client: Client<S>) {
    let (mut socket, _) = ask(&client, named("masked"), None).await.unwrap();
    let received = socket.recv().await;
    assert!(
        matches!(received, Some(Err(Error::Violation { code: 1002, .. }))),
        "{received:?}"
    );
    assert!(socket.recv().await.is_none());
    let refused = socket.send(Message::text("more")).await;
    assert!(matches!(refused, Err(Error::Closed)));
}

pub(crate) async fn server_without_extended_connect_is_an_error<S: Subject>(client: Client<S>) {
    // The script agrees on nothing by ALPN.
    let handshake = client.handshake("/").with_http2_prior_knowledge();
    let error = client.open(handshake).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NoExtendedConnect, "{error}");
}

/// Over HTTP/2, the script understands no request, and closes.
pub(crate) async fn peer_that_closes_is_an_error<S: Subject>(client: Client<S>) {
    // The script agrees on nothing by ALPN.
    let handshake = client.handshake("/").with_http2_prior_knowledge();
    let error = client.open(handshake).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
}
