//! A server's WebSocket messages (RFC 6455 5.2): each of them the same, so that the bytes of its
//! frame are.

use std::sync::Arc;

const FINAL_TEXT: u8 = 0x81;

#[derive(Debug)]
pub(crate) struct Messages {
    frame: Arc<[u8]>,
    /// How many bytes of the current frame have come.
    came: usize,
}

impl Messages {
    /// The text is one of less than 126 bytes, whose length has one.
    pub(super) fn new(text: &[u8]) -> Self {
        let head = [FINAL_TEXT, text.len() as u8];
        Self {
            frame: [&head, text].concat().into(),
            came: 0,
        }
    }

    pub(super) fn feed(&mut self, mut bytes: &[u8], owed: usize) -> anyhow::Result<usize> {
        let mut whole = 0;
        while !bytes.is_empty() {
            anyhow::ensure!(
                whole < owed,
                "{} bytes more than the messages that were sent",
                bytes.len()
            );
            let rest = &self.frame[self.came..];
            let (next, others) = bytes.split_at(rest.len().min(bytes.len()));
            if let Some(wrong) = next
                .iter()
                .zip(rest)
                .position(|(came, expected)| came != expected)
            {
                return Err(self.complaint(next, wrong));
            }
            bytes = others;
            self.came += next.len();
            if self.came == self.frame.len() {
                self.came = 0;
                whole += 1;
            }
        }
        Ok(whole)
    }

    fn complaint(&self, bytes: &[u8], wrong: usize) -> anyhow::Error {
        let (at, byte) = (self.came + wrong, bytes[wrong]);
        match at {
            0 => anyhow::anyhow!(
                "a frame that begins with {byte:#04x} (opcode {}) instead of {FINAL_TEXT:#04x} (a whole text message)",
                byte & 0x0f
            ),
            1 => anyhow::anyhow!("a message of length {byte} instead of {}", self.frame[1]),
            _ => anyhow::anyhow!("a message with another text, from its byte {} on", at - 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Messages;

    const FRAMES: &[u8] = b"\x81\x02Hi\x81\x02Hi";

    #[test]
    fn frames_end_with_their_last_byte_however_they_are_split() {
        for split in 0..FRAMES.len() {
            let mut messages = Messages::new(b"Hi");
            let (first, second) = FRAMES.split_at(split);
            let whole = messages.feed(first, 2).unwrap();
            assert_eq!(whole, split / 4, "{split}");
            assert_eq!(
                messages.feed(second, 2 - whole).unwrap(),
                2 - whole,
                "{split}"
            );
        }
    }

    #[test]
    fn what_is_no_echo_is_refused() {
        for (bytes, what) in [
            (b"\x88\x02Hi".as_slice(), "opcode 8"),
            (b"\x01\x02Hi", "begins with 0x01"),
            (b"\x81\x82Hi", "length 130 instead of 2"),
            (b"\x81\x02Ho", "another text, from its byte 1 on"),
            (b"\x81\x02Hi\x81", "1 bytes more"),
        ] {
            let error = Messages::new(b"Hi").feed(bytes, 1).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
