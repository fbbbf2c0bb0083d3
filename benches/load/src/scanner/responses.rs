//! HTTP/1.1 responses: each a 200, whose body has the expected length. A connection's first body is
//! compared byte by byte.

use crate::conversation::WEBSOCKET_ACCEPT;
use anyhow::Context as _;
use std::sync::Arc;

/// More than any server of the bench sends.
const MAX_HEADERS: usize = 32;
/// A head that's longer never ends.
const MAX_HEAD: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Responses {
    body: Arc<[u8]>,
    /// The last head that was parsed: one that's the same to the byte needs no parsing, and all
    /// are, until the second of its date is over.
    known: Vec<u8>,
    /// What came of a head that isn't whole yet.
    head: Vec<u8>,
    /// What's still to come of the body, once the head is whole.
    body_left: Option<usize>,
    /// Whether a whole body was compared.
    compared: bool,
}

impl Responses {
    pub(super) fn new(body: Arc<[u8]>) -> Self {
        Self {
            body,
            known: Vec::new(),
            head: Vec::new(),
            body_left: None,
            compared: false,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], owed: usize) -> anyhow::Result<usize> {
        let mut whole = 0;
        while !bytes.is_empty() {
            anyhow::ensure!(
                whole < owed,
                "{} bytes more than the response announced",
                bytes.len()
            );
            let left = match self.body_left {
                Some(left) => left,
                None => match self.head(bytes)? {
                    Some(rest) => {
                        bytes = rest;
                        self.body.len()
                    }
                    None => break,
                },
            };
            let (next, others) = bytes.split_at(left.min(bytes.len()));
            if !self.compared {
                self.compare(next, left)?;
            }
            bytes = others;
            if next.len() < left {
                self.body_left = Some(left - next.len());
            } else {
                self.body_left = None;
                self.compared = true;
                whole += 1;
            }
        }
        Ok(whole)
    }

    /// What follows the head. Nothing, if the head isn't whole yet.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> anyhow::Result<Option<&'a [u8]>> {
        // The way of nearly all responses: nothing is copied, and nothing is parsed.
        if self.head.is_empty()
            && !self.known.is_empty()
            && let Some(rest) = bytes.strip_prefix(self.known.as_slice())
        {
            return Ok(Some(rest));
        }
        let kept = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some(length) = scan_head(&self.head, self.body.len())? else {
            anyhow::ensure!(
                self.head.len() <= MAX_HEAD,
                "a response head of more than {MAX_HEAD} bytes"
            );
            return Ok(None);
        };
        self.head.truncate(length);
        std::mem::swap(&mut self.known, &mut self.head);
        self.head.clear();
        Ok(Some(&bytes[length - kept..]))
    }

    fn compare(&self, bytes: &[u8], left: usize) -> anyhow::Result<()> {
        let at = self.body.len() - left;
        let wrong = bytes
            .iter()
            .zip(&self.body[at..])
            .position(|(came, expected)| came != expected);
        match wrong {
            None => Ok(()),
            Some(wrong) => anyhow::bail!(
                "another body than the expected one, from its byte {} on",
                at + wrong
            ),
        }
    }
}

/// The length of a head that announces `body` bytes. Nothing, if the head isn't whole yet.
fn scan_head(bytes: &[u8], body: usize) -> anyhow::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .context("what came is no HTTP response")?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    anyhow::ensure!(status == 200, "status {status} instead of 200");
    let announced =
        header(&response, "content-length").context("a response without content-length")?;
    let announced: usize = std::str::from_utf8(announced)
        .ok()
        .and_then(|value| value.parse().ok())
        .context("a content-length that's no number")?;
    anyhow::ensure!(
        announced == body,
        "a body of {announced} bytes instead of {body}"
    );
    Ok(Some(length))
}

/// The length of a head that agrees to an upgrade to a WebSocket. Nothing, if the head isn't whole
/// yet.
///
/// # Errors
///
/// When it's another response.
pub(crate) fn check_upgrade(bytes: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response
        .parse(bytes)
        .context("what came is no HTTP response")?;
    let httparse::Status::Complete(length) = parsed else {
        anyhow::ensure!(
            bytes.len() <= MAX_HEAD,
            "a response head of more than {MAX_HEAD} bytes"
        );
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    anyhow::ensure!(status == 101, "status {status} instead of 101");
    anyhow::ensure!(
        header(&response, "sec-websocket-accept") == Some(WEBSOCKET_ACCEPT.as_bytes()),
        "an upgrade whose sec-websocket-accept isn't {WEBSOCKET_ACCEPT}"
    );
    Ok(Some(length))
}

fn header<'a>(response: &httparse::Response<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    let header = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(header.value)
}

#[cfg(test)]
mod tests {
    use super::{MAX_HEAD, Responses, check_upgrade};

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    fn responses() -> Responses {
        Responses::new(b"Hello, World!".as_slice().into())
    }

    #[test]
    fn a_response_ends_with_its_last_byte_however_it_is_split() {
        let mut responses = responses();
        assert_eq!(responses.feed(RESPONSE, 1).unwrap(), 1);
        for split in 1..RESPONSE.len() {
            let (first, second) = RESPONSE.split_at(split);
            assert_eq!(responses.feed(first, 1).unwrap(), 0, "{split}");
            assert_eq!(responses.feed(second, 1).unwrap(), 1, "{split}");
        }
        let (last, others) = RESPONSE.split_last().unwrap();
        for byte in others {
            assert_eq!(responses.feed(&[*byte], 1).unwrap(), 0);
        }
        assert_eq!(responses.feed(&[*last], 1).unwrap(), 1);
    }

    #[test]
    fn several_may_come_at_once_and_end_anywhere() {
        let three = RESPONSE.repeat(3);
        for split in 0..three.len() {
            let mut responses = responses();
            let (first, second) = three.split_at(split);
            let whole = responses.feed(first, 3).unwrap();
            assert_eq!(whole, split / RESPONSE.len(), "{split}");
            assert_eq!(
                responses.feed(second, 3 - whole).unwrap(),
                3 - whole,
                "{split}"
            );
        }
    }

    #[test]
    fn a_head_may_change_and_is_looked_at_each_time() {
        let mut responses = responses();
        for head in ["A: 1", "A: 2", "A: 2", "Longer-Than-Before: 1", "A: 1"] {
            let response =
                format!("HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: 13\r\n\r\nHello, World!");
            assert_eq!(responses.feed(response.as_bytes(), 1).unwrap(), 1, "{head}");
        }
        let error = responses
            .feed(b"HTTP/1.1 500 No\r\nA: 1\r\n\r\n", 1)
            .unwrap_err();
        assert!(error.to_string().contains("status 500"), "{error}");
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let too_long = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; MAX_HEAD]].concat();
        for (bytes, what) in [
            (
                b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".as_slice(),
                "status 503",
            ),
            (b"HTTP/1.1 200 OK\r\n\r\n", "without content-length"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no number"),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n",
                "14 bytes instead of 13",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World?",
                "from its byte 12 on",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!!",
                "1 bytes more",
            ),
            (b"SSH-2.0\r\n", "no HTTP response"),
            (&too_long, "a response head of more"),
        ] {
            let error = format!("{:#}", responses().feed(bytes, 1).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_surplus_after_a_split_is_refused() {
        for split in 1..RESPONSE.len() {
            let (first, second) = RESPONSE.split_at(split);
            let mut responses = responses();
            responses.feed(first, 1).unwrap();
            responses.feed(&[second, b"x"].concat(), 1).unwrap_err();
        }
    }

    #[test]
    fn an_upgrade_has_to_be_the_one_that_was_asked_for() {
        let agreed =
            b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        assert_eq!(check_upgrade(agreed).unwrap(), Some(agreed.len()));
        assert_eq!(check_upgrade(&agreed[..agreed.len() - 1]).unwrap(), None);
        let status = check_upgrade(RESPONSE).unwrap_err().to_string();
        assert!(status.contains("status 200 instead of 101"), "{status}");
        let accept = check_upgrade(b"HTTP/1.1 101 Yes\r\n\r\n")
            .unwrap_err()
            .to_string();
        assert!(accept.contains("sec-websocket-accept"), "{accept}");
    }
}
