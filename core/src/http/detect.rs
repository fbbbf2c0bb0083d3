//! Telling HTTP/1 from HTTP/2 by the first bytes.
use crate::{Connection, engine::Accepted};
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
    /// `None`: the peer left without saying enough to be answered, or speaks HTTP/1 where only HTTP/2 is understood.
    pub(super) fn poll<C: Connection>(
        &mut self,
        io: &mut Accepted<C>,
        speaks: (bool, bool),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Version>>> {
        let agreed = agreed(io, speaks);
        loop {
            ready!(Pin::new(&mut *io).poll_readable(cx))?;
            let mut scratch = [const { MaybeUninit::uninit() }; FIRST_READ];
            let mut buf = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut *io).poll_read(cx, buf.unfilled()))?;
            let read = buf.filled();
            if read.is_empty() {
                return Poll::Ready(Ok(None));
            }
            if agreed == Some(Version::Http1) {
                io.unread(Bytes::copy_from_slice(read));
                return Poll::Ready(Ok(agreed));
            }
            let bytes = if self.seen.is_empty() && version_of(read).is_some() {
                Bytes::copy_from_slice(read)
            } else {
                self.seen = [&*self.seen, read].concat().into();
                if version_of(&self.seen).is_none() {
                    continue;
                }
                std::mem::take(&mut self.seen).into()
            };
            let version = version_of(&bytes);
            io.unread(bytes);
            // Not what was agreed on, or not what's served: there's no answer that such a peer would understand.
            return Poll::Ready(Ok(
                version.filter(|version| agreed.is_none_or(|agreed| agreed == *version))
            ));
        }
    }

    /// Whether the peer has begun to speak.
    pub(super) fn begun(&self) -> bool {
        !self.seen.is_empty()
    }
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
