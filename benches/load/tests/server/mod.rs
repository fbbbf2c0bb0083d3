//! How the servers answer that the load is tested with.

use anyport_bench_load::Patience;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, World!";

pub(crate) fn patience() -> Patience {
    Patience::new(Duration::from_secs(20), Arc::default())
}

/// A good one with this body.
pub(crate) fn response(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Reads one request; nothing if the peer is gone.
fn request(stream: &mut impl Read) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(())
}

/// Answers each request with the next of `answers`, over and over; each is written in its parts. Closes after `requests` of them.
pub(crate) fn serve(mut stream: impl Read + Write, answers: &[Vec<Vec<u8>>], requests: usize) {
    for parts in answers.iter().cycle().take(requests) {
        if request(&mut stream).is_none() {
            return;
        }
        for part in parts {
            if stream.write_all(part).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    }
}
