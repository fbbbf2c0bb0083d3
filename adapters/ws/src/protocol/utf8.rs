//! Checks UTF-8 that arrives in pieces. An error is detected in the piece that contains it.
use std::str::from_utf8;

/// The state of the check between two pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Utf8 {
    /// An incomplete character.
    partial: [u8; 4],
    len: u8,
}

/// The text is not UTF-8.
#[derive(Debug)]
pub(super) struct Invalid;

impl Utf8 {
    /// Checks the next piece.
    pub(super) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            // A complete or invalid character has at most four bytes, so the array has room for it.
            self.partial[usize::from(self.len)] = byte;
            self.len += 1;
            match from_utf8(&self.partial[..usize::from(self.len)]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        let Err(error) = from_utf8(piece) else {
            return Ok(());
        };
        if error.error_len().is_some() {
            return Err(Invalid);
        }
        let rest = &piece[error.valid_up_to()..];
        self.partial[..rest.len()].copy_from_slice(rest);
        self.len = rest.len() as u8;
        Ok(())
    }

    /// Whether the text may end here.
    pub(super) fn is_complete(self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_is_accepted_however_it_is_split() {
        let text = "aß水🦀\u{10ffff}z".as_bytes();
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut utf8 = Utf8::default();
                for piece in [&text[..first], &text[first..second], &text[second..]] {
                    utf8.feed(piece).unwrap();
                }
                assert!(utf8.is_complete());
            }
        }
    }

    #[test]
    fn error_is_detected_at_its_byte() {
        // An overlong form, a surrogate, a value beyond the last character, an invalid first byte,
        // and a truncated character.
        for wrong in [
            &b"\xc0\xaf"[..],
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xff",
            b"\xe6\xb0a",
        ] {
            let mut utf8 = Utf8::default();
            let failed = wrong.iter().any(|byte| utf8.feed(&[*byte]).is_err());
            assert!(failed, "{wrong:x?}");
            assert!(Utf8::default().feed(wrong).is_err(), "{wrong:x?}");
        }
        let mut utf8 = Utf8::default();
        utf8.feed(b"\xf4").unwrap();
        assert!(
            utf8.feed(b"\x90").is_err(),
            "before the character is complete"
        );
    }
}
