//! Telling HTTP/1 from HTTP/2 by the first bytes.
use crate::{config::HttpOptions, engine::Accepted, transport::Connection};
use bytes::Bytes;
use hyper::rt::{Read, ReadBuf};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// What a peer's first bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// A request's.
    Request(Version),
    /// HTTP/2's, over TLS, without that ALPN has agreed on it.
    Unnegotiated,
    /// There are none, or not what was agreed on, or not what's served: there's no answer that such
    /// a peer would understand.
    Nothing,
}

/// What's answered to a peer that speaks HTTP/2 without having asked for it by ALPN: empty
/// SETTINGS, and GOAWAY (RFC 9113 3.4, 6.8) with HTTP_1_1_REQUIRED, or, where that isn't spoken,
/// with PROTOCOL_ERROR (7).
pub(super) fn no_alpn(options: &HttpOptions) -> &'static [u8] {
    match options.speaks() {
        (true, _) => NO_ALPN,
        (false, _) => NO_ALPN_NOR_HTTP1,
    }
}

const NO_ALPN: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x34\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0dHTTP/2 over TLS asks for ALPN (RFC 9113 3.2)";
const NO_ALPN_NOR_HTTP1: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x34\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01HTTP/2 over TLS asks for ALPN (RFC 9113 3.2)";

/// What an HTTP/2 client begins with (RFC 9113 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How much is read at first: more than the head of a common request.
const FIRST_READ: usize = 2048;

/// Waits for the first bytes and tells the version by them. They're put back, to be read again.
#[derive(Debug, Default)]
pub(super) struct Detect {
    /// The beginning of a preface that arrived in pieces.
    seen: Box<[u8]>,
}

impl Detect {
    pub(super) fn poll<C: Connection>(
        &mut self,
        io: &mut Accepted<C>,
        options: &HttpOptions,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<First>> {
        let agreed = agreed(io, options.speaks());
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

    /// Whether the peer has begun to speak.
    pub(super) fn begun(&self) -> bool {
        !self.seen.is_empty()
    }
}

/// Waits for the first bytes of a peer that speaks HTTP/1.
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

/// Reads, without a buffer while there's nothing. Empty, if it's the end.
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

/// The version, where no byte is needed to tell it.
fn agreed<C: Connection>(io: &Accepted<C>, speaks: (bool, bool)) -> Option<Version> {
    match (speaks, io.info().alpn()) {
        ((true, false), _) => Some(Version::Http1),
        ((false, true), _) => Some(Version::Http2),
        (_, Some(b"h2")) => Some(Version::Http2),
        (_, Some(b"http/1.1" | b"http/1.0")) => Some(Version::Http1),
        _ => None,
    }
}

/// Over TLS, HTTP/2 has to be agreed on (RFC 9113 3.2).
fn may_speak_http2<C: Connection>(io: &Accepted<C>, options: &HttpOptions) -> bool {
    let info = io.info();
    info.tls().is_none() || info.alpn() == Some(b"h2") || options.http2_without_alpn
}

/// The version, if these first bytes tell it already.
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
    fn the_refusal_says_how_long_it_is() {
        for answer in [NO_ALPN, NO_ALPN_NOR_HTTP1] {
            let goaway = &answer[9..];
            assert_eq!(usize::from(goaway[2]), goaway.len() - 9);
        }
    }

    #[test]
    fn the_first_bytes_tell_the_version() {
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
