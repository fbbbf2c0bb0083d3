//! A PROXY header, versions 1 and 2, without I/O: where it ends, and what it says.
mod error;
mod tlv;
mod v1;
mod v2;

pub(crate) use error::HeaderError;

use anyport_core::transport::{Endpoint, Proxied};

/// The most bytes of a header. Version 2 could have 65,551, which no proxy needs.
pub(crate) const LONGEST: usize = 4096;

/// How far a header has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Incomplete,
    /// It has this many bytes.
    Complete(usize),
}

/// What a header says.
#[derive(Debug)]
pub(crate) enum Header {
    /// Who the client is.
    Client(Client),
    /// The connection is the proxy's own (LOCAL), or its client is not told (UNKNOWN, UNSPEC).
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

/// Parses a header that is complete, and nothing behind it.
pub(crate) fn parse(header: &[u8]) -> Result<Header, HeaderError> {
    match header.first() {
        Some(b'P') => v1::parse(header),
        _ => v2::parse(header),
    }
}

/// Whether `input` begins with `prefix`, as far as it has arrived.
fn may_begin_with(input: &[u8], prefix: &[u8]) -> bool {
    let common = input.len().min(prefix.len());
    input[..common] == prefix[..common]
}

impl Header {
    fn client(endpoint: impl Into<Endpoint>, destination: impl Into<Endpoint>) -> Client {
        let mut proxied = Proxied::default();
        proxied.destination = Some(destination.into());
        Client {
            endpoint: endpoint.into(),
            proxied,
        }
    }
}

#[cfg(test)]
mod tests;
