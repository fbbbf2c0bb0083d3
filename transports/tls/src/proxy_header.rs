//! A PROXY header where TLS should begin.
use std::io;

/// The beginnings of versions 1 and 2 (section 2 of the protocol).
const BEGINNINGS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];

/// The error for a peer whose first bytes are a PROXY header.
pub(crate) fn error(first: &[u8]) -> Option<io::Error> {
    let is_header = BEGINNINGS
        .iter()
        .any(|beginning| first.starts_with(beginning));
    is_header.then(|| {
        let what = "a PROXY header instead of TLS: call `.proxy_protocol(..)` before `.tls(..)`, or have the proxy send no header";
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}
