//! Several requests on a connection (RFC 9112 9), `Expect` and `Upgrade`.
use super::{Input, gives};

const HELLO: &[&str] = &["200 Hello, World!, next"];
const LAST: &[&str] = &["200 Hello, World!, closed"];

pub(super) const INPUTS: &[Input] = &[
    gives(b"GET / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", &["200 Hello, World!, 200 Hello, World!, next"]),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhelloPOST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n", &["200 hello, 200 world, next"]),
    gives(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n", &["200 , 200 Hello, World!, next"]),
    // 2.2: an empty line after a body.
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello\r\n", &["200 hello, next"]),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n\r\n", HELLO),
    // 9.6
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: CLOSE\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: x, close\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: x\r\nConnection: close\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, close\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: closed\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection:\r\n\r\n", HELLO),
    gives(b"POST /echo HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", &["200 hello, closed"]),
    // 9.3
    gives(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n", LAST),
    gives(b"GET / HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.0\r\nHost: test\r\nConnection: Keep-Alive\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.0\r\nHost: test\r\nConnection: close, keep-alive\r\n\r\n", LAST),
    // RFC 9110 10.1.1
    gives(b"POST /len HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", &["200 5, next", "100, 200 5, next"]),
    gives(b"POST /len HTTP/1.1\r\nHost: test\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello", &["200 5, next", "100, 200 5, next"]),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\n\r\n", HELLO),
    gives(b"POST /len HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello", &["200 5, closed"]),
    gives(b"POST /len HTTP/1.1\r\nHost: test\r\nExpect: a-miracle\r\nContent-Length: 5\r\n\r\nhello", &["200 5, next", "417, next", "417, closed"]),
    // RFC 9110 7.8: an offered upgrade may be ignored.
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: nothing/1.0\r\n\r\n", HELLO),
    gives(b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\r\n", HELLO),
    gives(b"OPTIONS / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"DELETE / HTTP/1.1\r\nHost: test\r\n\r\n", HELLO),
    gives(b"PUT /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", &["200 hello, next"]),
    // Bodies that the app does not read.
    gives(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", HELLO),
    gives(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &["200 Hello, World!, next", "200 Hello, World!, closed"]),
    gives(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 36\r\n\r\nGET /host HTTP/1.1\r\nHost: inside\r\n\r\n", HELLO),
];
