//! Interprets a fuzzer's input: where to split, and the bytes to split.
use super::split_server::SplitServer;

/// The first byte is the number of splits. Each of the next bytes is the distance from one split to
/// the next.
const MAX_CUTS: u8 = 16;

/// Only HTTP/2 begins like this.
const HTTP2: &[u8] = b"PRI";

/// Sends the bytes in pieces, and as one.
///
/// # Panics
///
/// The responses differ.
pub(crate) fn check(server: &SplitServer, data: &[u8]) {
    let Some((count, rest)) = data.split_first() else {
        return;
    };
    let Some((steps, bytes)) = rest.split_at_checked(usize::from(count % MAX_CUTS)) else {
        return;
    };
    // HTTP/2 responds with a connection error, which may overtake responses in flight (RFC 9113
    // 5.4.1).
    if bytes.is_empty() || HTTP2.starts_with(&bytes[..bytes.len().min(HTTP2.len())]) {
        return;
    }
    // The server may wait for the end of a malformed head before it responds, so the head gets one.
    let bytes = [bytes, b"\r\n\r\n"].concat();
    let (mut remaining, mut pieces) = (&bytes[..], Vec::new());
    for step in steps {
        let (piece, rest) = remaining.split_at(usize::from(*step).clamp(1, remaining.len()));
        pieces.push(piece);
        remaining = rest;
        if remaining.is_empty() {
            break;
        }
    }
    if !remaining.is_empty() {
        pieces.push(remaining);
    }
    let expected = server.unsplit(&bytes).until_own_response();
    let responses = server.responses(pieces).until_own_response();
    assert_eq!(responses, expected, "{}", bytes.escape_ascii());
}
