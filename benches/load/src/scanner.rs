//! Finds the ends of responses in a stream of bytes, and compares them with the expected ones.

use crate::Response;
use anyhow::Context as _;
use std::sync::Arc;

/// The client's nonce of RFC 6455 1.3; no test of the bench needs a random one.
pub(crate) const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The response to it, from the same section.
const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// More than a server of the bench sends.
const MAX_HEADERS: usize = 64;
/// A longer head is an error.
const MAX_HEAD: usize = 16 * 1024;
/// The first byte of a whole text message.
const FINAL_TEXT: u8 = 0x81;

/// The position of a connection in its response: an HTTP/1.1 response with status 200 and the
/// expected body, or a text message of a WebSocket.
#[derive(Debug)]
pub(crate) struct Scanner {
    expected: Arc<[u8]>,
    is_http: bool,
    /// The last head that was parsed. Heads are the same to the byte until the second of their date
    /// is over, and need no parsing then.
    known: Vec<u8>,
    /// The start of a head that is not whole yet.
    head: Vec<u8>,
    /// How many bytes are missing, once a head is whole.
    left: Option<usize>,
    /// Whether a whole body was compared. Messages are always compared.
    is_compared: bool,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Of the body, if there is a `content-length`.
    pub(crate) length: Option<anyhow::Result<usize>>,
}

impl Scanner {
    /// For responses with this body. A connection's first one is compared byte by byte.
    pub(crate) fn responses(body: Arc<[u8]>) -> Self {
        Self {
            expected: body,
            is_http: true,
            known: Vec::new(),
            head: Vec::new(),
            left: None,
            is_compared: false,
        }
    }

    /// For frames with this text.
    pub(crate) fn messages(text: &[u8]) -> Self {
        let frame = [frame_head(text.len()), text.to_vec()].concat();
        Self {
            is_http: false,
            ..Self::responses(frame.into())
        }
    }

    /// Takes the next bytes. Whether the response is whole now.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> anyhow::Result<bool> {
        let left = match self.left {
            Some(left) => left,
            None if !self.is_http => self.expected.len(),
            None => match self.head(bytes)? {
                Some(rest) => {
                    bytes = rest;
                    self.expected.len()
                }
                None => return Ok(false),
            },
        };
        let (next, surplus) = bytes.split_at(left.min(bytes.len()));
        if !self.is_compared {
            self.compare(next, self.expected.len() - left)?;
        }
        anyhow::ensure!(
            surplus.is_empty(),
            "{} bytes more than the response has",
            surplus.len()
        );
        self.left = Some(left - next.len()).filter(|left| *left > 0);
        self.is_compared = self.is_http && self.left.is_none();
        Ok(self.left.is_none())
    }

    /// The bytes after the head. `None` if the head is not whole yet.
    fn head<'a>(&mut self, bytes: &'a [u8]) -> anyhow::Result<Option<&'a [u8]>> {
        // The path of nearly all responses: without a copy or a parser.
        if self.head.is_empty()
            && !self.known.is_empty()
            && let Some(rest) = bytes.strip_prefix(self.known.as_slice())
        {
            return Ok(Some(rest));
        }
        let kept = self.head.len();
        self.head.extend_from_slice(bytes);
        let Some((head, length)) = parse(&self.head)? else {
            return Ok(None);
        };
        anyhow::ensure!(head.status == 200, "status {} instead of 200", head.status);
        let announced = head.length.context("a response without content-length")??;
        let body = self.expected.len();
        anyhow::ensure!(
            announced == body,
            "a body of {announced} bytes instead of {body}"
        );
        self.head.truncate(length);
        std::mem::swap(&mut self.known, &mut self.head);
        self.head.clear();
        Ok(Some(&bytes[length - kept..]))
    }

    fn compare(&self, bytes: &[u8], at: usize) -> anyhow::Result<()> {
        let due = &self.expected[at..at + bytes.len()];
        if bytes == due {
            return Ok(());
        }
        let same = bytes.iter().zip(due).take_while(|(came, due)| came == due);
        let wrong = same.count();
        match (self.is_http, at + wrong) {
            (false, 0) => anyhow::bail!(
                "a frame that begins with {:#04x} (opcode {}) instead of {FINAL_TEXT:#04x} (a \
                whole text message)",
                bytes[wrong],
                bytes[wrong] & 0x0f
            ),
            (_, at) => {
                anyhow::bail!("another response than the expected one, from its byte {at} on")
            }
        }
    }
}

/// The head of a frame with a whole text message of so many bytes (RFC 6455 5.2).
pub(crate) fn frame_head(length: usize) -> Vec<u8> {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..126), _) => vec![FINAL_TEXT, length],
        (_, Ok(length)) => [&[FINAL_TEXT, 126][..], &length.to_be_bytes()].concat(),
        _ => [&[FINAL_TEXT, 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// A head, and its length. `None` if it is not whole yet.
pub(crate) fn parse(bytes: &[u8]) -> anyhow::Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes);
    let httparse::Status::Complete(length) = parsed.context("this is no HTTP response")? else {
        anyhow::ensure!(
            bytes.len() <= MAX_HEAD,
            "a response head of more than {MAX_HEAD} bytes"
        );
        return Ok(None);
    };
    let headers = response.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    let headers: Vec<_> = headers.collect();
    let announced = headers.iter().find(|(name, _)| name == "content-length");
    let announced = announced.map(|(_, value)| value.parse());
    let head = Head {
        status: response.code.unwrap_or_default(),
        length: announced.map(|length| length.context("a content-length that is no number")),
        headers,
    };
    Ok(Some((head, length)))
}

/// Whether a response agrees to an upgrade to a WebSocket.
pub(crate) fn check_upgrade(response: &Response) -> anyhow::Result<()> {
    let status = response.status;
    anyhow::ensure!(status == 101, "status {status} instead of 101");
    let agrees = |(name, value): &(String, String)| {
        name == "sec-websocket-accept" && value == WEBSOCKET_ACCEPT
    };
    anyhow::ensure!(
        response.headers.iter().any(agrees),
        "an upgrade whose sec-websocket-accept is not {WEBSOCKET_ACCEPT}"
    );
    anyhow::ensure!(
        response.body.is_empty(),
        "the server sent a message before it received one"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{MAX_HEAD, Scanner};

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n";
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    fn responses() -> Scanner {
        Scanner::responses(b"Hello, World!".as_slice().into())
    }

    #[test]
    fn responses_may_be_split_at_every_byte() {
        let frame = b"\x81\x02Hi".as_slice();
        for (mut scanner, answer) in [(responses(), RESPONSE), (Scanner::messages(b"Hi"), frame)] {
            for split in 1..answer.len() {
                let (first, second) = answer.split_at(split);
                assert!(!scanner.feed(first).unwrap(), "{split}");
                assert!(scanner.feed(second).unwrap(), "{split}");
            }
            let (last, others) = answer.split_last().unwrap();
            for byte in others {
                assert!(!scanner.feed(&[*byte]).unwrap());
            }
            assert!(scanner.feed(&[*last]).unwrap());
            assert!(scanner.feed(answer).unwrap());
        }
    }

    #[test]
    fn changed_heads_are_parsed() {
        let mut responses = responses();
        for head in ["A: 1", "A: 2", "A: 2", "Longer-Than-Before: 1", "A: 1"] {
            let response =
                format!("HTTP/1.1 200 OK\r\n{head}\r\nContent-Length: 13\r\n\r\nHello, World!");
            assert!(responses.feed(response.as_bytes()).unwrap(), "{head}");
        }
        let error = responses.feed(b"HTTP/1.1 500 No\r\nA: 1\r\n\r\n");
        let error = error.unwrap_err().to_string();
        assert!(error.contains("status 500"), "{error}");
    }

    #[test]
    fn unexpected_responses_are_errors() {
        let too_long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MAX_HEAD));
        let wrong = [
            ("HTTP/1.1 503 No\r\n\r\n", "status 503"),
            ("HTTP/1.1 200 OK\r\n\r\n", "without content-length"),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "no number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n", "14 bytes"),
            (&format!("{HEAD}Hello, World?"), "from its byte 12 on"),
            (&format!("{HEAD}Hello, World!!"), "1 bytes more"),
            ("SSH-2.0\r\n", "no HTTP response"),
            (&too_long, "a response head of more"),
        ];
        let wrong = wrong.map(|(text, what)| (responses(), text.as_bytes(), what));
        let frames: [(&[u8], &str); 4] = [
            (b"\x88\x02Hi", "opcode 8"),
            (b"\x81\x82Hi", "from its byte 1 on"),
            (b"\x81\x02Ho", "from its byte 3 on"),
            (b"\x81\x02Hi\x81", "1 bytes more"),
        ];
        let frames = frames.map(|(frame, what)| (Scanner::messages(b"Hi"), frame, what));
        for (mut scanner, bytes, what) in wrong.into_iter().chain(frames) {
            let error = format!("{:#}", scanner.feed(bytes).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
    }
}
