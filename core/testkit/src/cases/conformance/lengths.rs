//! The end of a request's body: `Content-Length` and `Transfer-Encoding` (RFC 9112 6, RFC 9110
//! 8.6).
use super::{Input, gives};

const BAD: &[&str] = &["400, closed"];
const UNKNOWN: &[&str] = &["501, closed", "400, closed"];
const FIVE: &[&str] = &["200 hello, next"];
const NONE: &[&str] = &["200 , next"];
const TOO_LARGE: &[&str] = &["400, closed", "413, closed"];

pub(super) const INPUTS: &[Input] = &[
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", NONE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\n\r\n", NONE),
    gives(b"GET /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", FIVE),
    gives(b"HEAD /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", NONE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\ncontent-LENGTH:5\r\n\r\nhello", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length:  5  \r\n\r\nhello", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 00005\r\n\r\nhello", &["200 hello, next", "400, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", &["200 hello, next", "400, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5, 5\r\n\r\nhello", &["200 hello, next", "400, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5, 6\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length:\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: +5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: -5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: -0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5 5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 0x5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5.0\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5e0\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5;\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: \"5\"\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: five\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: \xd9\xa5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5_\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 18446744073709551615\r\n\r\nhello", TOO_LARGE).but("431, closed", "hyper answers a length that it has no number for as it does a head that is too large"),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 18446744073709551616\r\n\r\nhello", TOO_LARGE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 18446744073709551621\r\n\r\nhello", TOO_LARGE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999999999999999999\r\n\r\nhello", TOO_LARGE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length : 5\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent_Length: 5\r\n\r\n", NONE),
    gives(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", FIVE),
    // RFC 9112 6.1: chunked is the last coding, and applied once; beside a length, it's the length
    // that's ignored, and the connection closes.
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding:\tchunked\t\r\n\r\n5\r\nhello\r\n0\r\n\r\n", FIVE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: , chunked ,\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["200 hello, next", "400, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["400, closed", "200 hello, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["400, closed", "200 hello, closed"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: identity\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding:\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\n\r\nhello", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunkedx\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked;q=1\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: \"chunked\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chun ked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", UNKNOWN),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer_Encoding: chunked\r\n\r\n", NONE),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nX: y\r\n\r\nTransfer-Encoding: chunked\r\n\r\n", &["200 , 400, closed"]),
    // HTTP/1.0 knows no chunks.
    gives(b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", BAD),
    gives(b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", BAD),
];
