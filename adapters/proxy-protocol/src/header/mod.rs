//! Parses a PROXY header of version 1 or 2, without I/O.
mod error;
mod tlv;
mod v1;
mod v2;

pub(crate) use error::HeaderError;

use anyport_core::transport::{Endpoint, Proxied};

/// The maximum length of a header. Version 2 allows 65,551 bytes, which no proxy needs.
pub(crate) const MAX_HEADER: usize = 4096;

/// How much of a header has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Incomplete,
    /// The header is complete and has this many bytes.
    Complete(usize),
}

/// The content of a header.
#[derive(Debug)]
pub(crate) enum Header {
    /// The proxy forwards the connection of this client.
    Client(Client),
    /// The connection is the proxy's own (LOCAL), or the header names no client (UNKNOWN, UNSPEC).
    Proxy,
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) proxied: Proxied,
}

/// Finds the end of the header that `input` begins with.
pub(crate) fn frame(input: &[u8]) -> Result<Frame, HeaderError> {
    match input.first() {
        None => Ok(Frame::Incomplete),
        Some(b'P') => v1::frame(input),
        Some(b'\r') => v2::frame(input),
        Some(_) => Err(HeaderError::not_a_header(input)),
    }
}

/// Parses a complete header, without any bytes after it.
pub(crate) fn parse(header: &[u8]) -> Result<Header, HeaderError> {
    match header.first() {
        Some(b'P') => v1::parse(header),
        _ => v2::parse(header),
    }
}

/// Whether `input`, which may be incomplete, can begin with `prefix`.
fn may_begin_with(input: &[u8], prefix: &[u8]) -> bool {
    let common = input.len().min(prefix.len());
    input[..common] == prefix[..common]
}

#[cfg(test)]
mod tests;
