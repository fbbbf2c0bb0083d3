//! However the bytes of a connection are split, the responses are the same, to the byte.
//!
//! The server reads each piece before the next one is sent. Code that inspects first bytes, puts
//! bytes back or buffers a partial head could lose a byte here.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fuzzed;
mod split_server;

use crate::corpus::{CORPUS, Input};
use anyport_core::HttpOptions;
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    sample::Index,
    test_runner::{Config, TestCaseError, TestRunner},
};
use split_server::{Responses, SplitServer};
use std::{fs, time::Duration};

/// The pieces between the splits, none of them empty.
fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.dedup();
    at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

#[test]
fn inputs_get_the_expected_statuses() {
    let server = SplitServer::start();
    for Input {
        name,
        bytes,
        statuses,
    } in CORPUS.iter()
    {
        let responses = server.unsplit(bytes);
        let text = String::from_utf8_lossy(&responses.0);
        let found: Vec<&str> = text
            .match_indices("HTTP/1.")
            .filter_map(|(at, _)| text.get(at + 9..at + 12))
            .filter(|status| status.bytes().all(|digit| digit.is_ascii_digit()))
            .collect();
        assert_eq!(&found, statuses, "{name}: {responses:?}");
        assert!(!responses.0.is_empty() || statuses.is_empty(), "{name}");
    }
}

#[test]
fn two_pieces_get_the_same_responses_as_one() {
    let server = SplitServer::start();
    for Input { name, bytes, .. } in CORPUS.iter() {
        let expected = server.unsplit(bytes);
        for at in 1..bytes.len() {
            let responses = server.responses([&bytes[..at], &bytes[at..]]);
            assert_eq!(
                responses,
                expected,
                "{name}: cut at {at} of {}",
                bytes.len()
            );
        }
    }
}

#[test]
fn single_bytes_get_the_same_responses_as_one_piece() {
    let server = SplitServer::start();
    for Input { name, bytes, .. } in CORPUS.iter() {
        assert_eq!(
            server.responses(bytes.chunks(1)),
            server.unsplit(bytes),
            "{name}"
        );
    }
}

/// A connection that is idle between the pieces hibernates.
#[test]
fn hibernation_between_pieces_does_not_change_the_responses() {
    let [hibernating, active] = [Duration::ZERO, Duration::MAX]
        .map(|idle| SplitServer::start_with(HttpOptions::default().with_hibernate_after(idle)));
    for Input { name, bytes, .. } in CORPUS.iter() {
        for at in 1..bytes.len() {
            let pieces = [&bytes[..at], &bytes[at..]];
            let (responses, expected) = (hibernating.responses(pieces), active.responses(pieces));
            assert_eq!(
                responses,
                expected,
                "{name}: cut at {at} of {}",
                bytes.len()
            );
        }
        let (responses, expected) = (
            hibernating.responses(bytes.chunks(1)),
            active.responses(bytes.chunks(1)),
        );
        assert_eq!(responses, expected, "{name}: byte by byte");
    }
}

/// Bodies that arrive early, late or not at all for an app that does not read them. Hibernation
/// must not change how hyper handles them.
#[test]
fn hibernation_around_unread_bodies_does_not_change_the_responses() {
    let [hibernating, active] = [Duration::ZERO, Duration::MAX]
        .map(|idle| SplitServer::start_with(HttpOptions::default().with_hibernate_after(idle)));
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
                let (responses, expected) =
                    (hibernating.responses(bytes()), active.responses(bytes()));
                assert!(!expected.0.is_empty());
                assert_eq!(
                    responses,
                    expected,
                    "{head}, then {} bytes in {} pieces",
                    body.len(),
                    pieces.len()
                );
            }
        }
    }
}

/// Checks a property in `cases` cases, or in `PROPTEST_CASES` if that is more. No file records a
/// failure: the failing input belongs in the corpus.
fn check_property<S: Strategy>(
    strategy: &S,
    cases: u32,
    property: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases: Config::default().cases.max(cases),
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(strategy, property);
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn any_pieces_get_the_same_responses_as_one() {
    let server = SplitServer::start();
    let expected: Vec<Responses> = CORPUS
        .iter()
        .map(|input| server.unsplit(&input.bytes))
        .collect();
    let strategy = (any::<Index>(), vec(any::<Index>(), 2..16));
    check_property(&strategy, 2000, |(which, cuts)| {
        let which = which.index(CORPUS.len());
        let Input { name, bytes, .. } = &CORPUS[which];
        proptest::prop_assert_eq!(
            &server.responses(pieces(bytes, &cuts)),
            &expected[which],
            "{}",
            name
        );
        Ok(())
    });
}

/// One byte is replaced. The responses to the damaged input do not depend on the pieces either.
#[test]
fn any_pieces_of_a_damaged_input_get_the_same_responses_as_one() {
    let server = SplitServer::start();
    // HTTP/2 responds with a connection error, which may overtake responses in flight (RFC 9113
    // 5.4.1). In an oversized head, the pieces may decide which of two errors is found first.
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
    check_property(&strategy, 2000, |(which, position, byte, cuts)| {
        let Input { name, bytes, .. } = which.get(&inputs);
        let mut bytes = bytes.clone();
        let position = position.index(bytes.len());
        bytes[position] = byte;
        // The server may wait for the end of a malformed head before it responds, so the head gets
        // one.
        bytes.extend_from_slice(b"\r\n\r\n");
        let expected = server.unsplit(&bytes).until_own_response();
        proptest::prop_assert_eq!(
            server.responses(pieces(&bytes, &cuts)).until_own_response(),
            expected,
            "{}: {} at {}: {}",
            name,
            byte,
            position,
            bytes.escape_ascii()
        );
        Ok(())
    });
}

/// The fuzzer's corpus (`fuzz/`): its seeds, and inputs that found something.
#[test]
fn fuzz_corpus_gets_the_same_responses_in_pieces() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/splits");
    let server = SplitServer::start();
    let mut inputs = 0;
    for file in fs::read_dir(folder).unwrap() {
        fuzzed::check(&server, &fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 30, "{inputs} inputs");
}
