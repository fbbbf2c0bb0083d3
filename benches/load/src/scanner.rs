//! Finds the end of a response in a stream of bytes, and that it's the one that was asked for.

use anyhow::Context as _;

/// More than any server of the bench sends.
const MAX_HEADERS: usize = 32;
/// A head that's longer never ends.
const MAX_HEAD: usize = 16 * 1024;

/// Where in a response the connection stands.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// What came of a head that isn't whole yet.
    head: Vec<u8>,
    /// What's still to come of the body, once the head is whole.
    body_left: Option<usize>,
}

impl Scanner {
    /// Takes the next bytes; says whether the response ends with them.
    ///
    /// # Errors
    ///
    /// When it isn't a 200 with a length, or when there's more than the response.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let (expected, came) = match self.body_left {
            Some(left) => (left, bytes.len()),
            // The way of nearly all responses: the whole of it in one read, and nothing is copied.
            None if self.head.is_empty() => match scan_head(bytes)? {
                Some(head) => (head.body, bytes.len() - head.len),
                None => return self.keep(bytes),
            },
            None => {
                let kept = self.head.len();
                self.keep(bytes)?;
                match scan_head(&self.head)? {
                    Some(head) => (head.body, kept + bytes.len() - head.len),
                    None => return Ok(false),
                }
            }
        };
        anyhow::ensure!(
            came <= expected,
            "{} bytes more than the response announced",
            came - expected
        );
        if came < expected {
            self.body_left = Some(expected - came);
            return Ok(false);
        }
        self.body_left = None;
        self.head.clear();
        Ok(true)
    }

    fn keep(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        self.head.extend_from_slice(bytes);
        anyhow::ensure!(
            self.head.len() <= MAX_HEAD,
            "a response head of more than {MAX_HEAD} bytes"
        );
        Ok(false)
    }
}

struct Head {
    len: usize,
    body: usize,
}

/// Nothing, if the head isn't whole yet.
fn scan_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes).context("what came is no HTTP response")?;
    let httparse::Status::Complete(len) = parsed else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    anyhow::ensure!(status == 200, "status {status} instead of 200");
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .context("a response without content-length")?;
    let body = std::str::from_utf8(length.value)
        .ok()
        .and_then(|value| value.parse().ok())
        .context("a content-length that's no number")?;
    Ok(Some(Head { len, body }))
}

#[cfg(test)]
mod tests {
    use super::{MAX_HEAD, Scanner};

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    #[test]
    fn a_response_ends_with_its_last_byte_however_it_is_split() {
        let mut scanner = Scanner::default();
        assert!(scanner.feed(RESPONSE).unwrap());
        for split in 1..RESPONSE.len() {
            let (first, second) = RESPONSE.split_at(split);
            assert!(!scanner.feed(first).unwrap(), "{split}");
            assert!(scanner.feed(second).unwrap(), "{split}");
        }
        let (last, others) = RESPONSE.split_last().unwrap();
        for byte in others {
            assert!(!scanner.feed(&[*byte]).unwrap());
        }
        assert!(scanner.feed(&[*last]).unwrap());
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
            (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", "1 bytes more"),
            (b"SSH-2.0\r\n", "no HTTP response"),
            (&too_long, "a response head of more"),
        ] {
            let error = format!("{:#}", Scanner::default().feed(bytes).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_surplus_after_a_split_is_refused() {
        for split in 1..RESPONSE.len() {
            let (first, second) = RESPONSE.split_at(split);
            let mut scanner = Scanner::default();
            scanner.feed(first).unwrap();
            scanner.feed(&[second, b"x"].concat()).unwrap_err();
        }
    }
}
