//! Request lines (RFC 9112 2 and 3) and `Host` (3.2).
use super::{HEAD_BYTES, Input, gives};

const BAD: &[&str] = &["400, closed"];
const HELLO: &[&str] = &["200 Hello, World!, next"];
const VERSION: &[&str] = &["505, closed"];
const NO_505: &str = "httparse knows two versions, and hyper answers the others with 400";

/// Requests whose target or field is longer than a head may be.
static LONG_TARGET: [u8; 3 * HEAD_BYTES] = long(b"GET /", b" HTTP/1.1\r\nHost: test\r\n\r\n");
static LONG_FIELD: [u8; 3 * HEAD_BYTES] = long(b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"\r\n\r\n");

const fn long(before: &[u8], behind: &[u8]) -> [u8; 3 * HEAD_BYTES] {
    let mut long = [b'x'; 3 * HEAD_BYTES];
    let (begin, _) = long.split_at_mut(before.len());
    begin.copy_from_slice(before);
    let (_, end) = long.split_at_mut(3 * HEAD_BYTES - behind.len());
    end.copy_from_slice(behind);
    long
}

pub(super) const INPUTS: &[Input] = &[
    gives(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    // 2.2: empty lines before the request are ignored, and a line may end without CR.
    gives(b"\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\nHost: test\n\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\n\r\n", HELLO),
    // 2.2: no whitespace before the request; 3: single spaces.
    gives(b" GET / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"\tGET / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET\t/\tHTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET  / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /  HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1 \r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\t\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1 X\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /\x0bHTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\rHost: test\r\r", BAD),
    gives(b"GET / HTTP/1.1\r\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /\0 HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"\0GET / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    // 2.3: versions.
    gives(b"GET /\r\n\r\n", BAD),
    gives(b"GET / \r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / http/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.10\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/01.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/+1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1,1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP /1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTPS/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / FTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.2\r\nHost: test\r\n\r\n", HELLO).but_gives(BAD[0], NO_505),
    gives(b"GET / HTTP/0.9\r\nHost: test\r\n\r\n", VERSION).but_gives(BAD[0], NO_505),
    gives(b"GET / HTTP/2.0\r\nHost: test\r\n\r\n", VERSION).but_gives(BAD[0], NO_505),
    gives(b"GET / HTTP/3.0\r\nHost: test\r\n\r\n", VERSION).but_gives(BAD[0], NO_505),
    gives(b"GET / HTTP/9.9\r\nHost: test\r\n\r\n", VERSION).but_gives(BAD[0], NO_505),
    gives(b"PRI * HTTP/2.0\r\nHost: test\r\n\r\n", VERSION).but_gives(BAD[0], NO_505),
    // RFC 9110 9.1: methods are case-sensitive tokens; the app decides which ones exist.
    gives(b"get / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"FOO / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"M-SEARCH / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"!#$%&'*+-.^_`|~09 / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"G@T / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"G(T / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"G\"T / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"G\xc3T / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b" / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"{\"a\": 1}\r\n\r\n", BAD),
    // 3.2.1: a path and a query.
    gives(b"GET /?a=b&c HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"GET /?a=%00%zz HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"GET // HTTP/1.1\r\nHost: test\r\n\r\n", &["404, next"]),
    gives(b"GET /../ HTTP/1.1\r\nHost: test\r\n\r\n", &["404, next"]),
    gives(b"GET foo HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET ?a HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /a b HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /\x01 HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET /\x7f HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(
        b"GET /\xc3\xa9 HTTP/1.1\r\nHost: test\r\n\r\n",
        &["400, closed", "404, next"],
    ),
    gives(b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(
        b"GET /#a HTTP/1.1\r\nHost: test\r\n\r\n",
        &["400, closed", "200 Hello, World!, next"],
    ),
    gives(&LONG_TARGET, &["414, closed"]).but_gives(
        "431, closed",
        "hyper looks at the length of a head before it looks for a target in it",
    ),
    // RFC 6585 5.
    gives(&LONG_FIELD, &["431, closed"]),
    // 3.2.2: absolute form, whose host counts.
    gives(b"GET http://test/ HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"GET http://test HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(
        b"GET http://one/host HTTP/1.1\r\nHost: other\r\n\r\n",
        &["200 one, next", "400, closed"],
    ),
    gives(b"GET http:// HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET http:///a HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET http://user@test/ HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    // 3.2.3: only CONNECT has an authority as its target; 3.2.4: only OPTIONS has `*`.
    gives(b"GET test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n", BAD),
    gives(b"CONNECT / HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET * HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"HEAD * HTTP/1.1\r\nHost: test\r\n\r\n", BAD),
    gives(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n", &["404, next"]),
    // 3.2: exactly one host, except in HTTP/1.0.
    gives(b"GET / HTTP/1.1\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nHost: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: one\r\nHost: other\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: one, other\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test/a\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: user@test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test:port\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHOST: test\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.0\r\n\r\n", &["200 Hello, World!, closed"]),
];
