//! What a fuzzer makes up: where to cut, and what's cut.
use super::stage::Stage;

/// The first byte says how many cuts there are, and each of the next how far after the one before.
const MOST_CUTS: u8 = 16;

/// Only what begins as HTTP/2 begins so.
const HTTP2: &[u8] = b"PRI";

/// Sends it in pieces, and as one.
///
/// # Panics
///
/// The answers differ.
pub(crate) fn check(stage: &Stage, data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let Some((steps, bytes)) = rest.split_at_checked(usize::from(count % MOST_CUTS)) else {
        return;
    };
    // HTTP/2 answers with an error of the connection, which may overtake the answers that are under
    // way (RFC 9113 5.4.1).
    if bytes.is_empty() || HTTP2.starts_with(&bytes[..bytes.len().min(HTTP2.len())]) {
        return;
    }
    // What's wrong with a head need not be answered before its end, so it has one.
    let bytes = [bytes, b"\r\n\r\n"].concat();
    let (mut left, mut pieces) = (&bytes[..], Vec::new());
    for step in steps {
        let (piece, others) = left.split_at(usize::from(*step).clamp(1, left.len()));
        pieces.push(piece);
        left = others;
        if left.is_empty() {
            break;
        }
    }
    if !left.is_empty() {
        pieces.push(left);
    }
    let expected = stage.unsplit(&bytes).until_refused();
    let answers = stage.answers(pieces).until_refused();
    assert_eq!(answers, expected, "{}", bytes.escape_ascii());
}
