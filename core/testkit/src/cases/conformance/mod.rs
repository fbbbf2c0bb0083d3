//! HTTP/1 at its edges: how a server handles a request that is valid, almost valid or an attack,
//! and the request after it.
//!
//! Each input is sent at once, followed by another request, on a connection of its own. The outcome
//! is written as `200 hello, next`: the responses in order, with their bodies. `next` is the
//! response to the following request, `closed` the end of the connection, `cut` a truncated
//! response, and `silent` a missing one.
//!
//! An input with another outcome fails the case. An input whose outcome is known to deviate lists
//! it, and [why](Input::deviation). A deviation that no longer occurs fails, too.
mod chunks;
mod fields;
mod lengths;
mod lines;
mod persistence;

use crate::harness::{any_subject::AnySubject, case::cases, test_server::TestServer};
use anyport_core::Limits;
use bytes::Bytes;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{sleep, timeout};

cases![
    request_lines_conform,
    field_lines_conform,
    message_framing_conforms,
    chunked_coding_conforms,
    persistence_conforms,
    split_input_gives_the_same_result,
];

/// All tables, by the rules that they cover.
const TABLES: &[&[Input]] = &[
    lines::INPUTS,
    fields::INPUTS,
    lengths::INPUTS,
    chunks::INPUTS,
    persistence::INPUTS,
];

/// In how many ways each input is split.
const CUTS: usize = 3;
const MAX_CONCURRENT: usize = 20;

/// The request that follows each input; its response has the body `behind`.
const NEXT_REQUEST: &str = "GET /host HTTP/1.1\r\nHost: behind\r\n\r\n";

/// The smallest limit that is allowed, so that an oversized head is a small input.
const HEAD_BYTES: usize = 8 * 1024;

/// How long the server may take to respond. A server that waits for more bytes fails.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);

/// An input and its allowed outcomes.
struct Input {
    /// The bytes before [`NEXT_REQUEST`].
    bytes: &'static [u8],
    /// The allowed outcomes; several where the specification leaves a choice.
    allowed: &'static [&'static str],
    /// The known deviation, and its reason.
    deviation: Option<(&'static str, &'static str)>,
}

/// An input with one of these outcomes.
const fn gives(bytes: &'static [u8], allowed: &'static [&'static str]) -> Input {
    Input {
        bytes,
        allowed,
        deviation: None,
    }
}

impl Input {
    /// Declares a known deviation, with its reason.
    const fn but_gives(mut self, deviation: &'static str, reason: &'static str) -> Self {
        self.deviation = Some((deviation, reason));
        self
    }
}

async fn request_lines_conform(subject: AnySubject) {
    check(&subject, lines::INPUTS).await;
}

async fn field_lines_conform(subject: AnySubject) {
    check(&subject, fields::INPUTS).await;
}

async fn message_framing_conforms(subject: AnySubject) {
    check(&subject, lengths::INPUTS).await;
}

async fn chunked_coding_conforms(subject: AnySubject) {
    check(&subject, chunks::INPUTS).await;
}

async fn persistence_conforms(subject: AnySubject) {
    check(&subject, persistence::INPUTS).await;
}

/// Splits every input at several positions, with a pause after each part.
async fn split_input_gives_the_same_result(subject: AnySubject) {
    let server = serve(&subject);
    let splits: Vec<(&'static Input, usize)> = TABLES
        .iter()
        .copied()
        .flatten()
        .flat_map(|input| (0..CUTS).map(move |n| (input, n)))
        .collect();
    let mut mismatches = Vec::new();
    // Each input takes a while, because of the pauses.
    for some in splits.chunks(MAX_CONCURRENT) {
        let checks = some
            .iter()
            .map(|(input, n)| check_split(&server, input, *n));
        mismatches.extend(join_all(checks).await.into_iter().flatten());
    }
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
    server.wait_for_connections(0).await;
}

/// Checks an input that is split in the `n`th way. Returns the mismatch, if there is one.
async fn check_split(server: &TestServer, input: &Input, n: usize) -> Option<String> {
    let whole = with_next_request(input.bytes);
    // An arbitrary position, but the same in each run.
    let first = 1 + (input.bytes.len() * 7 + n * whole.len() / CUTS) % (whole.len() - 1);
    let (begin, rest) = whole.split_at(first);
    let (middle, end) = rest.split_at(rest.len().min(3));
    let outcome = outcome_of(server, input.bytes, &[begin, middle, end]).await;
    let mismatch = input.mismatch(&outcome)?;
    Some(format!("split after {first} bytes: {mismatch}"))
}

fn serve(subject: &AnySubject) -> TestServer {
    let limits = Limits::default().with_head_bytes(HEAD_BYTES);
    subject.serve_configured(|server| server.limits(limits))
}

async fn check(subject: &AnySubject, inputs: &[Input]) {
    let server = serve(subject);
    let mut mismatches = Vec::new();
    for input in inputs {
        let outcome = outcome_of(&server, input.bytes, &[&with_next_request(input.bytes)]).await;
        mismatches.extend(input.mismatch(&outcome));
    }
    assert!(mismatches.is_empty(), "\n{}", mismatches.join("\n"));
    server.wait_for_connections(0).await;
    server.assert_serves_new_clients().await;
}

/// Appends the next request.
fn with_next_request(bytes: &[u8]) -> Vec<u8> {
    [bytes, NEXT_REQUEST.as_bytes()].concat()
}

impl Input {
    /// How the outcome differs from the allowed ones, if it does.
    fn mismatch(&self, outcome: &str) -> Option<String> {
        let Self {
            bytes,
            allowed,
            deviation,
        } = self;
        let is_allowed = allowed.contains(&outcome);
        let expectation = match *deviation {
            Some((deviation, _)) if outcome == deviation => return None,
            Some((deviation, reason)) if is_allowed => {
                format!(
                    "which is allowed; remove the known deviation {deviation:?} ({reason}) from the table"
                )
            }
            _ if is_allowed => return None,
            _ => format!("expected one of {allowed:?}"),
        };
        let shown = &bytes[..bytes.len().min(120)];
        Some(format!(
            "\"{}\" results in {outcome:?}, {expectation}",
            shown.escape_ascii()
        ))
    }
}

/// The outcome of an input that is sent in these pieces.
async fn outcome_of(server: &TestServer, bytes: &[u8], pieces: &[&[u8]]) -> String {
    let mut client = server.client().await;
    for (n, piece) in pieces.iter().filter(|piece| !piece.is_empty()).enumerate() {
        if n > 0 {
            // The client is slow on purpose; the sleep does not wait for an event.
            sleep(Duration::from_millis(2)).await;
        }
        client.send(piece).await;
    }
    let mut outcome = Vec::new();
    let is_head = bytes.starts_with(b"HEAD ");
    loop {
        let head = match timeout(RESPONSE_TIMEOUT, client.head()).await {
            Ok(Ok(head)) => head,
            Ok(Err(_)) => {
                outcome.push("closed".into());
                break;
            }
            Err(_) => {
                outcome.push("silent".into());
                break;
            }
        };
        let has_content = head.status >= 200 && !(is_head && outcome.is_empty());
        let body = match has_content {
            true => client.body(&head.headers).await,
            false => Ok(Bytes::new()),
        };
        if body.as_ref().is_ok_and(|body| body == "behind") {
            outcome.push("next".into());
            break;
        }
        outcome.push(match (head.status, body) {
            (200, Ok(body)) => format!("200 {}", body.escape_ascii()),
            (200, Err(_)) => "200 cut".into(),
            (status, _) => status.to_string(),
        });
    }
    outcome.join(", ")
}
