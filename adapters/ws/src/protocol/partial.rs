//! An incomplete message.
use super::{utf8::Utf8, violation::Violation};
use crate::message::Utf8Bytes;
use bytes::{Bytes, BytesMut};

/// The maximum number of bytes that are allocated when a peer announces a frame. More is allocated
/// as bytes arrive.
const MAX_RESERVED: usize = 256 * 1024;

const NOT_UTF8: Violation = Violation::invalid("a text is not UTF-8 (RFC 6455 8.1)");

/// An incomplete message.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) is_text: bool,
    pub(super) is_compressed: bool,
    data: BytesMut,
    /// The number of bytes of `data` that have arrived; the rest is free space.
    filled: usize,
    utf8: Utf8,
    /// The number of bytes that have been checked as UTF-8.
    checked: usize,
}

/// Checks that a payload is UTF-8.
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

    /// Adds an unmasked piece. `remaining`: the number of bytes that the frame still has, this
    /// piece included.
    pub(super) fn push(&mut self, piece: &[u8], remaining: u64) -> Result<(), Violation> {
        if piece.is_empty() {
            return Ok(());
        }
        self.grow(piece.len(), remaining);
        self.data[self.filled..][..piece.len()].copy_from_slice(piece);
        self.filled += piece.len();
        self.check()
    }

    /// Free space for the rest of the frame, or for a part of it.
    pub(super) fn room(&mut self, remaining: u64) -> &mut [u8] {
        self.grow(1, remaining);
        let room = &mut self.data[self.filled..];
        let len =
            usize::try_from(remaining).map_or(room.len(), |remaining| remaining.min(room.len()));
        &mut room[..len]
    }

    /// Adds `n` bytes that have been read into [`room`](Self::room), and returns them to be
    /// unmasked.
    pub(super) fn filled(&mut self, n: usize) -> &mut [u8] {
        let from = self.filled;
        self.filled += n;
        &mut self.data[from..self.filled]
    }

    /// Checks the bytes that have arrived since the last check.
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

    /// Makes room for at least `least` bytes. The whole frame gets room only if enough of the
    /// message has arrived: a header alone reserves no more than [`MAX_RESERVED`].
    fn grow(&mut self, least: usize, remaining: u64) {
        if self.data.len() - self.filled >= least {
            return;
        }
        let credible = MAX_RESERVED.max(self.filled.saturating_mul(4));
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX).max(least);
        let len = (self.filled.saturating_add(wanted)).min(credible.max(self.filled + least));
        match self.filled {
            // Some allocators have zeroed memory at hand, so that zeroing costs nothing.
            0 => self.data = BytesMut::zeroed(len),
            _ => self.data.resize(len, 0),
        }
    }
}
