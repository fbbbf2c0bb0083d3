//! The error of a header.
use std::{borrow::Cow, fmt};

/// How many bytes of the input an error shows.
const MAX_SHOWN: usize = 24;

/// The error of a header: one line with the fault, the input, and advice.
#[derive(Debug)]
pub(crate) struct HeaderError(Cow<'static, str>);

impl HeaderError {
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }

    /// The input does not begin with a header.
    pub(crate) fn not_a_header(input: &[u8]) -> Self {
        let shown = &input[..input.len().min(MAX_SHOWN)];
        let seen = shown.escape_ascii();
        // A TLS handshake record begins with these bytes (RFC 8446 5.1).
        let advice = match input {
            [0x16, 0x03, ..] | [0x16] => {
                "that is TLS: if the proxy sends its header inside TLS, call `.tls(..)` before `.proxy_protocol(..)`"
            }
            [first, ..] if first.is_ascii_uppercase() => {
                "that may be HTTP: have the proxy send the header (haproxy: `send-proxy-v2`)"
            }
            _ => "have the proxy send the header first (haproxy: `send-proxy-v2`)",
        };
        Self::new(format!("no PROXY header, but \"{seen}\"; {advice}"))
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HeaderError {}
