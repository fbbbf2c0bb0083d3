//! Valid and invalid client input, each for a connection of its own.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]
use std::{iter::repeat_n, sync::LazyLock};

/// The bytes of a client, and the status of each HTTP/1 response to them.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) statuses: &'static [&'static str],
}

impl Input {
    fn new(name: &'static str, bytes: impl AsRef<[u8]>, statuses: &'static [&'static str]) -> Self {
        Self {
            name,
            bytes: bytes.as_ref().to_vec(),
            statuses,
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.bytes.starts_with(PREFACE)
    }
}

/// RFC 9113 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) static CORPUS: LazyLock<Vec<Input>> = LazyLock::new(|| {
    let mut inputs = requests();
    inputs.extend(malformed());
    inputs.extend(http2());
    inputs
});

fn requests() -> Vec<Input> {
    vec![
        Input::new(
            "two pipelined requests",
            "GET /1 HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\nX-Second: yes\r\n\r\n",
            &["200", "200"],
        ),
        Input::new(
            "a body with its length, and another request",
            "POST /1 HTTP/1.1\r\nHost: test\r\nContent-Length: 12\r\n\r\nhello\r\n\r\nyouGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200", "200"],
        ),
        Input::new(
            "a body in chunks, with extensions and trailers, and another request",
            "POST /1 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-ConnectionEnd\r\n\r\n\
             5;name=value\r\nhello\r\n0C ; a=\"b;c\"\r\n, dear world\r\n0\r\nX-Sum: 17\r\nX-ConnectionEnd: yes\r\n\r\n\
             GET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200", "200"],
        ),
        Input::new(
            "a body with Expect: 100-continue",
            "PUT /1 HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["100", "200", "200"],
        ),
        // However late the body arrives, it is read after the response.
        Input::new(
            "a body that the app leaves unread, and another request",
            "POST /unread HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200", "200"],
        ),
        Input::new("HTTP/1.0", "GET /1 HTTP/1.0\r\n\r\n", &["200"]),
        Input::new(
            "HTTP/1.0 that stays",
            "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\nGET /3 HTTP/1.0\r\n\r\n",
            &["200", "200"],
        ),
        Input::new(
            "a HEAD request, and another request",
            "HEAD /1 HTTP/1.1\r\nHost: test\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200", "200"],
        ),
        Input::new(
            "a last request with one behind it",
            "GET /1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200"],
        ),
        Input::new(
            "empty lines before a request, and an absolute target",
            "\r\n\r\nGET http://other/1 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200"],
        ),
        Input::new(
            "something else than HTTP after an upgrade",
            "GET /echo HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n\0GET / is no request here\r\n\r\n",
            &["101"],
        ),
        Input::new(
            "a method that begins like the preface of HTTP/2",
            "PRIx /1 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200"],
        ),
    ]
}

fn malformed() -> Vec<Input> {
    let oversized: Vec<u8> = b"GET / HTTP/1.1\r\nHost: test\r\nX-Large: "
        .iter()
        .copied()
        .chain(repeat_n(b'x', 8 * 1024))
        .chain(*b"\r\n\r\n")
        .collect();
    vec![
        Input::new("an oversized head", oversized, &["431"]),
        Input::new(
            "no Host, and another request",
            "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["400"],
        ),
        Input::new(
            "garbage behind a request",
            "GET /1 HTTP/1.1\r\nHost: test\r\n\r\n\x01\x02\x03\r\n\r\n",
            &["200", "400"],
        ),
        // The beginning of a ClientHello (RFC 8446 4.1.2).
        Input::new(
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x9a\x0f\r\n\r\n",
            &["400"],
        ),
        Input::new(
            "almost the preface of HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
            &["400"],
        ),
        Input::new(
            "the beginning of a head",
            "GET /1 HTTP/1.1\r\nHost: test\r\nX-Unfin",
            &[],
        ),
        Input::new("the beginning of the preface", "PRI * HTTP/2.0\r\n", &[]),
        // The chunked encoding takes precedence, and this is the connection's last request (RFC
        // 9112 6.1).
        Input::new(
            "both a length and chunks",
            "POST /1 HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
             GET /2 HTTP/1.1\r\nHost: test\r\n\r\n",
            &["200"],
        ),
        Input::new(
            "two lengths",
            "POST /1 HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
            &["400"],
        ),
        Input::new(
            "a chunk without a size",
            "POST /1 HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n",
            &["500"],
        ),
    ]
}

/// Raw frames (RFC 9113 4.1), with headers from the static table (RFC 7541 appendix A).
fn http2() -> Vec<Input> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;
    const END_STREAM: u8 = 1;
    const END_HEADERS: u8 = 4;
    const ACK: u8 = 1;
    // GET, http, /, and "test" as the authority.
    const GET: &[u8] = b"\x82\x86\x84\x01\x04test";
    const POST: &[u8] = b"\x83\x86\x84\x01\x04test";
    let frame = |kind, flags, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    };
    let opening = [
        PREFACE,
        &frame(SETTINGS, 0, 0, b""),
        &frame(SETTINGS, ACK, 0, b""),
    ]
    .concat();
    let (begin, rest) = POST.split_at(5);
    vec![
        Input::new(
            "HTTP/2",
            [&*opening, &frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)].concat(),
            &[],
        ),
        Input::new(
            "HTTP/2 with a body, a ping and a head in two frames",
            [
                &*opening,
                &frame(HEADERS, 0, 1, begin),
                &frame(CONTINUATION, END_HEADERS, 1, rest),
                &frame(DATA, 0, 1, b"hello, "),
                &frame(PING, 0, 0, b"12345678"),
                &frame(DATA, END_STREAM, 1, b"you"),
            ]
            .concat(),
            &[],
        ),
    ]
}
