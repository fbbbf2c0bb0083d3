//! However the bytes of a connection are cut into pieces, the answers are the same, to the byte.
//!
//! Each piece is read by the server before the next one is sent. Whatever looks at first bytes,
//! puts bytes back or keeps half a head somewhere has its chance to lose one here.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod fuzzed;
mod stage;

use crate::corpus::{CORPUS, Input};
use anyport_core::HttpOptions;
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    sample::Index,
    test_runner::{Config, TestCaseError, TestRunner},
};
use stage::{Answers, Stage};
use std::{fs, time::Duration};

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
        assert_eq!(
            stage.answers(bytes.chunks(1)),
            stage.unsplit(bytes),
            "{name}"
        );
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
        let (answers, expected) = (
            asleep.answers(bytes.chunks(1)),
            awake.answers(bytes.chunks(1)),
        );
        assert_eq!(answers, expected, "{name}: byte by byte");
    }
}

/// Bodies that are there too early, too late or not at all for an app that doesn't read them: what
/// hyper makes of them, whether it sleeps or not.
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

/// Runs a property in so many cases, or in as many as `PROPTEST_CASES` says, if that's more. No
/// file remembers a failure: what it names is to become an input of the corpus.
fn holds<S: Strategy>(
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
fn any_pieces_are_answered_as_one() {
    let stage = Stage::set();
    let expected: Vec<Answers> = CORPUS
        .iter()
        .map(|input| stage.unsplit(&input.bytes))
        .collect();
    let strategy = (any::<Index>(), vec(any::<Index>(), 2..16));
    holds(&strategy, 2000, |(which, cuts)| {
        let which = which.index(CORPUS.len());
        let Input { name, bytes, .. } = &CORPUS[which];
        proptest::prop_assert_eq!(
            &stage.answers(pieces(bytes, &cuts)),
            &expected[which],
            "{}",
            name
        );
        Ok(())
    });
}

/// A byte is wrong somewhere: what's wrong with it doesn't depend on the pieces either.
#[test]
fn any_pieces_of_a_damaged_input_are_answered_as_one() {
    let stage = Stage::set();
    // HTTP/2 answers with an error of the connection, which may overtake the answers that are under
    // way (RFC 9113 5.4.1). And which of two mistakes is found, may depend on the pieces: a head
    // that's too large is none to begin with.
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

/// What the fuzzer found worth keeping (`fuzz/`), and what it begins with.
#[test]
fn what_is_kept_for_the_fuzzer_is_answered_as_one() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/splits");
    let stage = Stage::set();
    let mut inputs = 0;
    for file in fs::read_dir(folder).unwrap() {
        fuzzed::check(&stage, &fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 30, "{inputs} inputs");
}
