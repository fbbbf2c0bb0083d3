//! Field lines (RFC 9112 5, RFC 9110 5).
use super::{Input, gives};

const BAD: &[&str] = &["400, closed"];
const HELLO: &[&str] = &["200 Hello, World!, next"];

pub(super) const INPUTS: &[Input] = &[
    gives(b"GET / HTTP/1.1\r\nHost:test\r\nX:y\r\n\r\n", HELLO),
    gives(
        b"GET / HTTP/1.1\r\nHost:   test  \r\nX:\ty\t\r\n\r\n",
        HELLO,
    ),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX:\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\xffb\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX_y.z~: a\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\tb\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\nHost: test\nX: y\n\n", HELLO),
    // 5.1: no space before the colon; 5.6.2: names are tokens.
    gives(b"GET / HTTP/1.1\r\nHost : test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX : y\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX\t: y\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX y: z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\n: y\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX@y: z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX(y: z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\n\"X\": z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX\xe9: z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX\0y: z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX\x01y: z\r\n\r\n", BAD),
    // 5.2: line folding is rejected.
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: y\r\n z\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: y\r\n\tz\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\n Host: test\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\n\tX: y\r\nHost: test\r\n\r\n", BAD),
    gives(
        b"GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n",
        BAD,
    ),
    // RFC 9110 5.5: no NUL, CR or LF in a value; 2.2: no bare CR.
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\0b\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\rb\r\n\r\n", BAD),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: a\r\r\n\r\n", BAD),
    gives(
        b"GET / HTTP/1.1\r\nHost: test\r\nX: a\rContent-Length: 5\r\n\r\n",
        BAD,
    ),
    gives(b"GET / HTTP/1.1\r\nHost: te\0st\r\n\r\n", BAD),
    gives(
        b"GET / HTTP/1.1\r\nHost: test\r\nX: a\x01b\r\n\r\n",
        &["400, closed", "200 Hello, World!, next"],
    ),
    gives(
        b"GET / HTTP/1.1\r\nHost: test\r\nX: a\x7fb\r\n\r\n",
        &["400, closed", "200 Hello, World!, next"],
    ),
    gives(
        b"GET / HTTP/1.1\r\nHost: test\r\nX: a\x0bb\r\n\r\n",
        &["400, closed", "200 Hello, World!, next"],
    ),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nX: y\n\r\r\n\r\n", BAD),
];
