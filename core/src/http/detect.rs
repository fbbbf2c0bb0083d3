//! Detects HTTP/1 or HTTP/2 by the first bytes.
use crate::{config::HttpOptions, engine::Accepted, transport::Connection};
use bytes::Bytes;
use hyper::rt::{Read, ReadBuf};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The version of HTTP that a connection uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// The result of detecting a client's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// The beginning of a request.
    Request(Version),
    /// HTTP/2 over TLS, although ALPN did not select it.
    Unnegotiated,
    /// The end of the stream, a version other than the one that ALPN selected, or a version that is
    /// not served. Such a client would understand no answer.
    Nothing,
}

/// The answer to HTTP/2 that ALPN did not select: empty SETTINGS, and GOAWAY (RFC 9113 3.4, 6.8)
/// with HTTP_1_1_REQUIRED. Without HTTP/1 the code is PROTOCOL_ERROR.
pub(super) fn no_alpn(options: &HttpOptions) -> &'static [u8] {
    match options.versions() {
        (true, _) => NO_ALPN,
        (false, _) => NO_ALPN_NOR_HTTP1,
    }
}

const NO_ALPN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x34\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0dHTTP/2 over TLS asks for ALPN (RFC 9113 3.2)";
const NO_ALPN_NOR_HTTP1: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x34\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01HTTP/2 over TLS asks for ALPN (RFC 9113 3.2)";

/// The client connection preface of HTTP/2 (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Size of the first read: more than the head of a common request.
const FIRST_READ: usize = 2048;

/// Waits for the first bytes and detects the version. The bytes are put back, to be read again.
#[derive(Debug, Default)]
pub(super) struct Detect {
    /// The beginning of a preface that arrived in several reads.
    seen: Box<[u8]>,
}

impl Detect {
    pub(super) fn poll<C: Connection>(
        &mut self,
        io: &mut Accepted<C>,
        options: &HttpOptions,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<First>> {
        let agreed = agreed(io, options.versions());
        if agreed == Some(Version::Http1) {
            return poll_http1(io, cx);
        }
        loop {
            let mut bytes = ready!(poll_bytes(io, cx))?;
            if bytes.is_empty() {
                return Poll::Ready(Ok(First::Nothing));
            }
            if !self.seen.is_empty() {
                bytes = [&*self.seen, &*bytes].concat().into();
            }
            if version_of(&bytes).is_none() {
                self.seen = (&*bytes).into();
                continue;
            }
            self.seen = Box::default();
            let first = match version_of(&bytes) {
                Some(Version::Http2) if !may_speak_http2(io, options) => First::Unnegotiated,
                Some(version) if agreed.is_none_or(|agreed| agreed == version) => {
                    First::Request(version)
                }
                _ => First::Nothing,
            };
            if let First::Request(_) = first {
                io.unread(bytes);
            }
            return Poll::Ready(Ok(first));
        }
    }

    /// Whether any bytes have arrived.
    pub(super) fn begun(&self) -> bool {
        !self.seen.is_empty()
    }
}

/// Waits for the first bytes of an HTTP/1 client.
pub(super) fn poll_http1<C: Connection>(
    io: &mut Accepted<C>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<First>> {
    let bytes = ready!(poll_bytes(io, cx))?;
    if bytes.is_empty() {
        return Poll::Ready(Ok(First::Nothing));
    }
    io.unread(bytes);
    Poll::Ready(Ok(First::Request(Version::Http1)))
}

/// Reads the next bytes. No buffer exists while there is nothing to read. An empty result is the
/// end of the stream.
fn poll_bytes<C: Connection>(
    io: &mut Accepted<C>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    ready!(Pin::new(&mut *io).poll_readable(cx))?;
    let mut scratch = [const { MaybeUninit::uninit() }; FIRST_READ];
    let mut buf = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(io).poll_read(cx, buf.unfilled()))?;
    Poll::Ready(Ok(Bytes::copy_from_slice(buf.filled())))
}

/// The version, if no byte is needed to detect it.
fn agreed<C: Connection>(io: &Accepted<C>, speaks: (bool, bool)) -> Option<Version> {
    match (speaks, io.info().alpn()) {
        ((true, false), _) => Some(Version::Http1),
        ((false, true), _) => Some(Version::Http2),
        (_, Some(b"h2")) => Some(Version::Http2),
        (_, Some(b"http/1.1" | b"http/1.0")) => Some(Version::Http1),
        _ => None,
    }
}

/// Over TLS, ALPN has to select HTTP/2 (RFC 9113 3.2).
fn may_speak_http2<C: Connection>(io: &Accepted<C>, options: &HttpOptions) -> bool {
    let info = io.info();
    info.tls().is_none() || info.alpn() == Some(b"h2") || options.http2_without_alpn
}

/// The version, if these first bytes are enough to detect it.
fn version_of(bytes: &[u8]) -> Option<Version> {
    let n = bytes.len().min(PREFACE.len());
    if bytes[..n] != PREFACE[..n] {
        Some(Version::Http1)
    } else if n == PREFACE.len() {
        Some(Version::Http2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goaway_frame_has_its_own_length() {
        for answer in [NO_ALPN, NO_ALPN_NOR_HTTP1] {
            let goaway = &answer[9..];
            assert_eq!(usize::from(goaway[2]), goaway.len() - 9);
        }
    }

    #[test]
    fn first_bytes_tell_the_version() {
        assert_eq!(version_of(b"G"), Some(Version::Http1));
        assert_eq!(version_of(b"PRI * HTTP/1.1\r\n"), Some(Version::Http1));
        assert_eq!(
            version_of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore"),
            Some(Version::Http2)
        );
        for n in 1..PREFACE.len() {
            assert_eq!(version_of(&PREFACE[..n]), None, "{n} bytes of the preface");
        }
    }
}
