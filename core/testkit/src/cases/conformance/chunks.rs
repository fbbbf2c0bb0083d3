//! The chunked transfer coding (RFC 9112 7.1).
use super::{Input, gives};

const HELLO: &[&str] = &["200 hello, next"];
/// The handler runs before the error is found, and echoes what it has received.
const BAD: &[&str] = &["closed", "200 cut, closed", "400, closed"];
const LAX: &[&str] = &[
    "closed",
    "200 cut, closed",
    "400, closed",
    "200 hello, next",
];
const SPACE: &str = "hyper's decoder of chunks takes spaces behind a size";

/// A request with these chunks.
macro_rules! chunks {
    ($chunks:literal) => {
        concat!(
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n",
            $chunks
        )
        .as_bytes()
    };
}

pub(super) const INPUTS: &[Input] = &[
    gives(chunks!("5\r\nhello\r\n0\r\n\r\n"), HELLO),
    gives(chunks!("0\r\n\r\n"), &["200 , next"]),
    gives(chunks!("1\r\nh\r\n4\r\nello\r\n0\r\n\r\n"), HELLO),
    gives(chunks!("a\r\nhellohello\r\n0\r\n\r\n"), &["200 hellohello, next"]),
    gives(chunks!("A\r\nhellohello\r\n0\r\n\r\n"), &["200 hellohello, next"]),
    gives(chunks!("00005\r\nhello\r\n0000\r\n\r\n"), HELLO),
    gives(
        chunks!("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        &["200 0\\r\\n\\r\\n, next"],
    ),
    // 7.1.1: extensions are ignored.
    gives(chunks!("5;a\r\nhello\r\n0\r\n\r\n"), HELLO),
    gives(chunks!("5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n"), HELLO),
    gives(chunks!("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), HELLO),
    gives(chunks!("5 ; a = b\r\nhello\r\n0\r\n\r\n"), LAX),
    gives(chunks!("5;a=b\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5;a=b\rc\r\nhello\r\n0\r\n\r\n"), BAD),
    // 7.1.2: trailers.
    gives(chunks!("5\r\nhello\r\n0\r\nX: y\r\n\r\n"), HELLO),
    gives(chunks!("5\r\nhello\r\n0\r\nX: y\r\nZ: a\r\n\r\n"), HELLO),
    gives(chunks!("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"), LAX),
    gives(chunks!("5\r\nhello\r\n0\r\nX y\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello\r\n0\r\nX : y\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello\r\n0\r\n X: y\r\n\r\n"), BAD),
    // A chunk size consists of hexadecimal digits only.
    gives(chunks!("5 \r\nhello\r\n0\r\n\r\n"), BAD).but_gives(HELLO[0], SPACE),
    gives(chunks!("5\t\r\nhello\r\n0\r\n\r\n"), BAD).but_gives(HELLO[0], SPACE),
    gives(chunks!(" 5\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("0x5\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("+5\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("-5\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5g\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5_0\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!(";a\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("five\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("10000000000000005\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), BAD),
    // Lines end in CRLF.
    gives(chunks!("5\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5\rhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello\n0\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello0\r\n\r\n"), BAD),
    gives(chunks!("4\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("6\r\nhello\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello\r\n\r\n0\r\n\r\n"), BAD),
    gives(chunks!("5\r\nhello\r\n0\n\n"), BAD),
    gives(
        chunks!("5\r\nhello\r\n0\r\n\nGET /chunks HTTP/1.1\r\nHost: test\r\n\r\n"),
        BAD,
    )
    .but_gives(
        HELLO[0],
        "hyper's chunked decoder parses this line as the beginning of trailers, and the bytes after it, too",
    ),
    gives(chunks!("5\r\nhello\r\n0\r\r\n"), BAD),
];
