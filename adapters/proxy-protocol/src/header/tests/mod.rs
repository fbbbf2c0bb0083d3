//! Headers of both versions, byte by byte.
mod bytes;
mod invalid;
mod ppp;
mod table;

use super::*;

/// The result of parsing an input.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Incomplete,
    Invalid(String),
    /// A header with this many bytes, which names no client: the proxy itself is the peer.
    Proxy(usize),
    /// A header with this many bytes, its client and its destination.
    Client(usize, String, String),
}

fn outcome(input: &[u8]) -> Outcome {
    let length = match frame(input) {
        Ok(Frame::Complete(length)) => length,
        Ok(Frame::Incomplete) => return Outcome::Incomplete,
        Err(error) => return Outcome::Invalid(error.to_string()),
    };
    match parse(&input[..length]) {
        Ok(Header::Proxy) => Outcome::Proxy(length),
        Ok(Header::Client(client)) => {
            let destination = client.proxied.destination.map(|it| it.to_string());
            Outcome::Client(
                length,
                client.endpoint.to_string(),
                destination.unwrap_or_default(),
            )
        }
        Err(error) => Outcome::Invalid(error.to_string()),
    }
}
