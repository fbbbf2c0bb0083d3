//! A message of which a part is there.
use super::{utf8::Utf8, violation::Violation};
use crate::message::Utf8Bytes;
use bytes::{Bytes, BytesMut};

/// What's allocated at once for a message that a peer announced; the more comes of it, the more is.
const FIRST: usize = 256 * 1024;

const NOT_UTF8: Violation = Violation::invalid("a text isn't UTF-8 (RFC 6455 8.1)");

/// A message of which a part is there.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) is_text: bool,
    pub(super) is_compressed: bool,
    data: BytesMut,
    /// How much of `data` has come; the rest is room.
    filled: usize,
    utf8: Utf8,
    /// How much of it is known to be UTF-8.
    checked: usize,
}

/// What is UTF-8.
pub(super) fn text(payload: Bytes) -> Result<Utf8Bytes, Violation> {
    Utf8Bytes::try_from(payload).map_err(|_| NOT_UTF8)
}

impl Partial {
    pub(super) fn new(is_text: bool, is_compressed: bool) -> Self {
        Self {
            is_text,
            is_compressed,
            data: BytesMut::new(),
            filled: 0,
            utf8: Utf8::default(),
            checked: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// Adds a piece, which has been unmasked. With it, the frame has so much to come.
    pub(super) fn push(&mut self, piece: &[u8], remaining: u64) -> Result<(), Violation> {
        if piece.is_empty() {
            return Ok(());
        }
        self.grow(piece.len(), remaining);
        self.data[self.filled..][..piece.len()].copy_from_slice(piece);
        self.filled += piece.len();
        self.check()
    }

    /// Room for what the frame has to come.
    pub(super) fn room(&mut self, remaining: u64) -> &mut [u8] {
        self.grow(1, remaining);
        let room = &mut self.data[self.filled..];
        let len =
            usize::try_from(remaining).map_or(room.len(), |remaining| remaining.min(room.len()));
        &mut room[..len]
    }

    /// So much of the room has been read into: it's given, to be unmasked.
    pub(super) fn filled(&mut self, n: usize) -> &mut [u8] {
        let from = self.filled;
        self.filled += n;
        &mut self.data[from..self.filled]
    }

    /// Checks what has come since the last time.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        if self.is_text && !self.is_compressed {
            let piece = &self.data[self.checked..self.filled];
            self.utf8.feed(piece).map_err(|_| NOT_UTF8)?;
            self.checked = self.filled;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Bytes, Violation> {
        if !self.utf8.is_complete() {
            return Err(NOT_UTF8);
        }
        self.data.truncate(self.filled);
        Ok(self.data.freeze())
    }

    /// Makes room for so much at least, and for the whole frame if what has come so far makes that
    /// credible: a header alone reserves no more than [`FIRST`].
    fn grow(&mut self, least: usize, remaining: u64) {
        if self.data.len() - self.filled >= least {
            return;
        }
        let credible = FIRST.max(self.filled.saturating_mul(4));
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX).max(least);
        let len = (self.filled.saturating_add(wanted)).min(credible.max(self.filled + least));
        match self.filled {
            // Of an allocator that has zeros, they're taken as they are.
            0 => self.data = BytesMut::zeroed(len),
            _ => self.data.resize(len, 0),
        }
    }
}
