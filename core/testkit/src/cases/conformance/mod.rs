//! HTTP/1 at the edges of the RFCs: requests that are valid, nearly valid, or an attack, and the
//! request that follows.
//!
//! Each input is sent at once on its own connection, with a second request behind it. The result is
//! written as `200 hello, next`: the responses in order, with what the app said. `next` is the
//! response to the second request, `closed` the end of the connection, and `cut` the end of a
//! response before its time.
//!
//! The tables are exact: an input with another result fails. An input whose result is not what the
//! RFC asks for states its result, and [why](Input::instead).
mod chunks;
mod fields;
mod lengths;
mod lines;
mod persistence;

use crate::harness::{case::cases, running::Running, site::Site};
use anyport_core::Limits;
use bytes::Bytes;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{sleep, timeout};

cases![
    request_lines_give_what_is_right,
    fields_give_what_is_right,
    lengths_and_codings_give_what_is_right,
    chunks_give_what_is_right,
    requests_behind_each_other_give_what_is_right,
    whatever_is_sent_in_pieces_gives_what_is_right,
];

/// All tables, by what's looked at in them.
const TABLES: &[&[Input]] = &[
    lines::INPUTS,
    fields::INPUTS,
    lengths::INPUTS,
    chunks::INPUTS,
    persistence::INPUTS,
];

/// In how many ways each input is cut into pieces.
const CUTS: usize = 3;
const AT_ONCE: usize = 20;

/// What's sent behind each input, and how its answer is known.
const BEHIND: &str = "GET /host HTTP/1.1\r\nHost: behind\r\n\r\n";

/// The least that's allowed, so that an oversized head is a small input.
const HEAD_BYTES: usize = 8 * 1024;

/// How long a server may be silent that should answer: one that waits for more fails.
const SILENCE: Duration = Duration::from_secs(20);

/// An input, and what's right.
struct Input {
    /// What's sent, before [`BEHIND`].
    bytes: &'static [u8],
    /// What's right; several, where the specification leaves the choice.
    right: &'static [&'static str],
    /// What comes instead, and why that can't be helped.
    instead: Option<(&'static str, &'static str)>,
}

/// An input that gives one of these.
const fn gives(bytes: &'static [u8], right: &'static [&'static str]) -> Input {
    Input {
        bytes,
        right,
        instead: None,
    }
}

impl Input {
    /// It can't: it gives this, for this reason.
    const fn but(mut self, instead: &'static str, reason: &'static str) -> Self {
        self.instead = Some((instead, reason));
        self
    }
}

async fn request_lines_give_what_is_right(site: Site) {
    check(&site, lines::INPUTS).await;
}

async fn fields_give_what_is_right(site: Site) {
    check(&site, fields::INPUTS).await;
}

async fn lengths_and_codings_give_what_is_right(site: Site) {
    check(&site, lengths::INPUTS).await;
}

async fn chunks_give_what_is_right(site: Site) {
    check(&site, chunks::INPUTS).await;
}

async fn requests_behind_each_other_give_what_is_right(site: Site) {
    check(&site, persistence::INPUTS).await;
}

/// Cut anywhere, and a second time a little later.
async fn whatever_is_sent_in_pieces_gives_what_is_right(site: Site) {
    let server = serve(&site);
    let ways: Vec<(&'static Input, usize)> = TABLES
        .iter()
        .copied()
        .flatten()
        .flat_map(|input| (0..CUTS).map(move |n| (input, n)))
        .collect();
    let mut wrong = Vec::new();
    // Each is slow by nature.
    for some in ways.chunks(AT_ONCE) {
        let given = some.iter().map(|(input, n)| in_pieces(&server, input, *n));
        wrong.extend(join_all(given).await.into_iter().flatten());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    server.settles(0).await;
}

/// What's wrong with what an input gives that's cut in the `n`th way.
async fn in_pieces(server: &Running, input: &Input, n: usize) -> Option<String> {
    let whole = whole(input.bytes);
    // Anywhere, but the same each time.
    let first = 1 + (input.bytes.len() * 7 + n * whole.len() / CUTS) % (whole.len() - 1);
    let (begin, rest) = whole.split_at(first);
    let (middle, end) = rest.split_at(rest.len().min(3));
    let given = given(server, input.bytes, &[begin, middle, end]).await;
    let wrong = input.wrong(&given)?;
    Some(format!("cut at {first}: {wrong}"))
}

fn serve(site: &Site) -> Running {
    let limits = Limits::default().with_head_bytes(HEAD_BYTES);
    site.serve_as(|server| server.limits(limits))
}

async fn check(site: &Site, inputs: &[Input]) {
    let server = serve(site);
    let mut wrong = Vec::new();
    for input in inputs {
        let given = given(&server, input.bytes, &[&whole(input.bytes)]).await;
        wrong.extend(input.wrong(&given));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    server.settles(0).await;
    server.serves_others().await;
}

/// With the request behind it.
fn whole(bytes: &[u8]) -> Vec<u8> {
    [bytes, BEHIND.as_bytes()].concat()
}

impl Input {
    /// What's wrong with what it gives, if something is.
    fn wrong(&self, given: &str) -> Option<String> {
        let Self {
            bytes,
            right,
            instead,
        } = self;
        let is_right = right.contains(&given);
        let says = match *instead {
            Some((instead, _)) if given == instead => return None,
            Some((instead, reason)) if is_right => {
                format!(
                    "is right now: what it gave instead, {instead:?}, because {reason}, can go from the table"
                )
            }
            _ if is_right => return None,
            _ => format!("wanted {right:?}"),
        };
        let shown = &bytes[..bytes.len().min(120)];
        Some(format!(
            "\"{}\" gives {given:?}; {says}",
            shown.escape_ascii()
        ))
    }
}

/// What an input gives that's sent in these pieces.
async fn given(server: &Running, bytes: &[u8], pieces: &[&[u8]]) -> String {
    let mut client = server.client().await;
    for (n, piece) in pieces.iter().filter(|piece| !piece.is_empty()).enumerate() {
        if n > 0 {
            // Not to wait for anything: this client is slow by nature.
            sleep(Duration::from_millis(2)).await;
        }
        client.send(piece).await;
    }
    let mut given = Vec::new();
    let is_head = bytes.starts_with(b"HEAD ");
    loop {
        let head = match timeout(SILENCE, client.head()).await {
            Ok(Ok(head)) => head,
            Ok(Err(_)) => {
                given.push("closed".into());
                break;
            }
            Err(_) => {
                given.push("silent".into());
                break;
            }
        };
        let has_content = head.status >= 200 && !(is_head && given.is_empty());
        let body = match has_content {
            true => client.body(&head.headers).await,
            false => Ok(Bytes::new()),
        };
        if body.as_ref().is_ok_and(|body| body == "behind") {
            given.push("next".into());
            break;
        }
        given.push(match (head.status, body) {
            (200, Ok(body)) => format!("200 {}", body.escape_ascii()),
            (200, Err(_)) => "200 cut".into(),
            (status, _) => status.to_string(),
        });
    }
    given.join(", ")
}
