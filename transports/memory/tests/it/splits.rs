//! However the bytes of a connection are cut into pieces, the answers are the same, to the byte.
//!
//! Each piece is read by the server before the next one is sent. Whatever looks at first bytes, puts bytes back or keeps half a head
//! somewhere has its chance to lose one here.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::corpus::{CORPUS, Input};
use crate::scene::{Scene, settled};
use anyport_core::{Body, BoxError, HttpOptions, Limits, Server};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    sample::Index,
    test_runner::{Config, TestCaseError, TestRunner},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    runtime::{Builder, Runtime},
};
use tower::service_fn;

/// The least that's allowed, so that an oversized head is a small input.
const HEAD_BYTES: usize = 8 * 1024;

/// What a date is replaced by: a response that the server makes of its own has the time of day.
const DATE: &[u8; 29] = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// Tells the app's request back.
async fn tell(mut request: Request<Body>) -> Result<Response<String>, BoxError> {
    let path = request.uri().path().to_owned();
    let mut response = Response::new(String::new());
    // In HTTP/2 a date is compressed: it could not be replaced afterwards.
    let date = HeaderValue::from_bytes(DATE)?;
    response.headers_mut().insert(header::DATE, date);
    match path.as_str() {
        "/echo" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let Ok(upgraded) = upgrade.await else { return };
                let (mut read, mut write) = split(TokioIo::new(upgraded));
                // The client's end is the end.
                let _ = copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("echo"));
        }
        "/unread" => {}
        _ => {
            let (head, body) = request.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            *response.body_mut() = format!(
                "{} {} {:?} {:?} {:?} {trailers:?}\n",
                head.method,
                head.uri,
                head.version,
                head.headers,
                body.to_bytes(),
            );
        }
    }
    Ok(response)
}

/// A server, and the runtime with the paused clock that it runs on.
struct Stage {
    runtime: Runtime,
    scene: Scene,
}

impl Stage {
    fn set() -> Self {
        Self::set_as(HttpOptions::default())
    }

    fn set_as(http: HttpOptions) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let limits = Limits::default().with_head_bytes(HEAD_BYTES);
        let configure = |server: Server| server.limits(limits).http(http);
        let scene = runtime.block_on(async { Scene::serve(service_fn(tell), configure) });
        Self { runtime, scene }
    }

    /// All that the server answers on one connection to these pieces, until it closes.
    fn answers<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Answers {
        self.runtime.block_on(async {
            let mut client = self.scene.connect();
            for piece in pieces {
                // A server that has hung up may have answered before.
                if client.write_all(piece).await.is_err() {
                    break;
                }
                settled().await;
            }
            let _ = client.shutdown().await;
            let mut answers = Vec::new();
            client.read_to_end(&mut answers).await.unwrap();
            Answers::new(answers)
        })
    }

    /// What it answers if all comes at once.
    fn unsplit(&self, bytes: &[u8]) -> Answers {
        self.answers([bytes])
    }
}

/// Bytes that the server sent, shown as text.
#[derive(PartialEq)]
struct Answers(Vec<u8>);

impl Answers {
    fn new(bytes: Vec<u8>) -> Self {
        // The server's preface is its settings (RFC 9113 3.4).
        let is_http2 = bytes.get(3..9) == Some(&[4, 0, 0, 0, 0, 0]);
        Self(if is_http2 {
            by_stream(&bytes)
        } else {
            undated(bytes)
        })
    }

    /// Up to the first answer of the server's own. It's given before the request's body is read, so whether the connection goes on depends on
    /// whether that body is there already (RFC 9112 9.3).
    fn until_refused(self) -> Self {
        const OWN: &str = "content-type: text/plain\r\n";
        let text = self.0.escape_ascii().to_string().replace("\\r\\n", "\r\n");
        let Some((before, refusal)) = text.split_once(OWN) else {
            return self;
        };
        let refusal = refusal.replacen("connection: close\r\n", "", 1);
        // An answer to HEAD has no text.
        let refusal = refusal
            .split_once("\\n")
            .map_or(&*refusal, |(refusal, _)| refusal);
        Self(format!("{before}{OWN}{refusal}").into_bytes())
    }
}

/// Without the time of day.
fn undated(mut bytes: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"\r\ndate: ";
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(NAME.len()).position(|w| w == NAME) {
        from += at + NAME.len();
        if let Some(date) = bytes.get_mut(from..from + DATE.len()) {
            date.copy_from_slice(DATE);
        }
    }
    bytes
}

/// The frames of each stream in their order. Those of the connection are in none: an acknowledgement follows what it acknowledges, and a
/// window may be opened at any time (RFC 9113 6.5.3 and 6.9).
fn by_stream(mut bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (frame, rest) = bytes.split_at(9 + length);
        frames.push((u32::from_be_bytes(head[5..].try_into().unwrap()), frame));
        bytes = rest;
    }
    assert_eq!(bytes, b"", "a whole frame");
    let (mut of_connection, mut of_streams): (Vec<_>, Vec<_>) =
        frames.into_iter().partition(|(id, _)| *id == 0);
    of_connection.sort_unstable();
    of_streams.sort_by_key(|(id, _)| *id);
    let all = of_connection.into_iter().chain(of_streams);
    all.flat_map(|(_, frame)| frame).copied().collect()
}

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// The pieces between the cuts, none of which is empty.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

#[test]
fn the_inputs_are_answered_as_they_should_be() {
    let stage = Stage::set();
    for Input {
        name,
        bytes,
        statuses,
    } in CORPUS.iter()
    {
        let answers = stage.unsplit(bytes);
        let text = String::from_utf8_lossy(&answers.0);
        let found: Vec<&str> = text
            .match_indices("HTTP/1.")
            .filter_map(|(at, _)| text.get(at + 9..at + 12))
            .filter(|status| status.bytes().all(|digit| digit.is_ascii_digit()))
            .collect();
        assert_eq!(&found, statuses, "{name}: {answers:?}");
        assert!(!answers.0.is_empty() || statuses.is_empty(), "{name}");
    }
}

#[test]
fn two_pieces_are_answered_as_one() {
    let stage = Stage::set();
    for Input { name, bytes, .. } in CORPUS.iter() {
        let expected = stage.unsplit(bytes);
        for at in 1..bytes.len() {
            let answers = stage.answers([&bytes[..at], &bytes[at..]]);
            assert_eq!(answers, expected, "{name}: cut at {at} of {}", bytes.len());
        }
    }
}

#[test]
fn single_bytes_are_answered_as_one_piece() {
    let stage = Stage::set();
    for Input { name, bytes, .. } in CORPUS.iter() {
        assert_eq!(stage.answers(bytes.chunks(1)), stage.unsplit(bytes), "{name}");
    }
}

/// A connection that's idle between the pieces is asleep then.
#[test]
fn pieces_with_a_sleep_between_them_are_answered_as_without() {
    let [asleep, awake] = [Duration::ZERO, Duration::MAX]
        .map(|idle| Stage::set_as(HttpOptions::default().with_hibernate_after(idle)));
    for Input { name, bytes, .. } in CORPUS.iter() {
        for at in 1..bytes.len() {
            let pieces = [&bytes[..at], &bytes[at..]];
            let (answers, expected) = (asleep.answers(pieces), awake.answers(pieces));
            assert_eq!(answers, expected, "{name}: cut at {at} of {}", bytes.len());
        }
        let (answers, expected) = (asleep.answers(bytes.chunks(1)), awake.answers(bytes.chunks(1)));
        assert_eq!(answers, expected, "{name}: byte by byte");
    }
}

/// Bodies that are there too early, too late or not at all for an app that doesn't read them: what hyper makes of them, whether it sleeps or not.
#[test]
fn unread_bodies_with_sleeps_about_them_are_answered_as_without() {
    let [asleep, awake] = [Duration::ZERO, Duration::MAX]
        .map(|idle| Stage::set_as(HttpOptions::default().with_hibernate_after(idle)));
    let get = "GET /after HTTP/1.1\r\nHost: test\r\n\r\n";
    let large = "x".repeat(300_000);
    let heads = [
        "Content-Length: 5",
        "Content-Length: 5\r\nExpect: 100-continue",
        "Content-Length: 300000",
        "Content-Length: 300000\r\nExpect: 100-continue",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nExpect: 100-continue",
    ]
    .map(|fields| format!("POST /unread HTTP/1.1\r\nHost: test\r\n{fields}\r\n\r\n"));
    for head in &heads {
        for body in ["", "hello", "5\r\nhello\r\n0\r\n\r\n", &large] {
            for pieces in [
                vec![get, head, body, get],
                vec![get, &*format!("{head}{body}"), get],
                vec![&*format!("{get}{head}"), &*format!("{body}{get}")],
                vec![&*format!("{get}{head}{body}{get}")],
            ] {
                let bytes = || {
                    pieces
                        .iter()
                        .map(|piece| piece.as_bytes())
                        .filter(|piece| !piece.is_empty())
                };
                let (answers, expected) = (asleep.answers(bytes()), awake.answers(bytes()));
                assert!(!expected.0.is_empty());
                assert_eq!(
                    answers,
                    expected,
                    "{head}, then {} bytes in {} pieces",
                    body.len(),
                    pieces.len()
                );
            }
        }
    }
}

/// Runs a property in so many cases, or in as many as `PROPTEST_CASES` says, if that's more. No file remembers a failure: what it names is to
/// become an input of the corpus.
fn holds<S: Strategy>(strategy: &S, cases: u32, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: Config::default().cases.max(cases),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(strategy, property);
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_pieces_are_answered_as_one() {
    let stage = Stage::set();
    let expected: Vec<Answers> = CORPUS.iter().map(|input| stage.unsplit(&input.bytes)).collect();
    let strategy = (any::<Index>(), vec(any::<Index>(), 2..16));
    holds(&strategy, 2000, |(which, cuts)| {
        let which = which.index(CORPUS.len());
        let Input { name, bytes, .. } = &CORPUS[which];
        proptest::prop_assert_eq!(&stage.answers(pieces(bytes, &cuts)), &expected[which], "{}", name);
        Ok(())
    });
}

/// A byte is wrong somewhere: what's wrong with it doesn't depend on the pieces either.
#[test]
fn any_pieces_of_a_damaged_input_are_answered_as_one() {
    let stage = Stage::set();
    // HTTP/2 answers with an error of the connection, which may overtake the answers that are under way (RFC 9113 5.4.1).
    // And which of two mistakes is found, may depend on the pieces: a head that's too large is none to begin with.
    let inputs: Vec<&Input> = CORPUS
        .iter()
        .filter(|input| !input.is_http2() && input.statuses != ["431"])
        .collect();
    let strategy = (
        any::<Index>(),
        any::<Index>(),
        any::<u8>(),
        vec(any::<Index>(), 1..8),
    );
    holds(&strategy, 2000, |(which, place, byte, cuts)| {
        let Input { name, bytes, .. } = which.get(&inputs);
        let mut bytes = bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        // What's wrong with a head need not be answered before its end, so it has one.
        bytes.extend_from_slice(b"\r\n\r\n");
        let expected = stage.unsplit(&bytes).until_refused();
        proptest::prop_assert_eq!(
            stage.answers(pieces(&bytes, &cuts)).until_refused(),
            expected,
            "{}: {} at {}: {}",
            name,
            byte,
            place,
            bytes.escape_ascii()
        );
        Ok(())
    });
}
