//! Compressed messages: permessage-deflate (RFC 7692).
use super::violation::Violation;
use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::cell::RefCell;

/// A sender removes this from the end of each message; the receiver adds it (RFC 7692 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

const LARGEST: u8 = 15;

/// The level of compression. At level 1, zlib-rs has one table for all messages, and hardly
/// compresses small messages.
const LEVEL: u32 = 3;

thread_local! {
    /// The context of the worker's WebSockets without context takeover. They share it, because a
    /// message needs the context only while it is inflated.
    static INFLATE: RefCell<Option<Decompress>> = const { RefCell::new(None) };
    /// The contexts for deflating, one for each size of the window.
    static DEFLATE: RefCell<[Option<Compress>; LARGEST as usize + 1]> = const { RefCell::new([const { None }; LARGEST as usize + 1]) };
}

/// The binary logarithm of a window's size: 9 to 15. zlib has no smaller window for raw deflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window(u8);

impl Window {
    pub(crate) const LARGEST: Self = Self(LARGEST);

    /// `None`: zlib has no such window.
    pub(crate) fn new(bits: u8) -> Option<Self> {
        matches!(bits, 9..=LARGEST).then_some(Self(bits))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }
}

/// Inflates what a peer sends.
#[derive(Debug)]
pub(crate) struct Inflater {
    /// The context of this WebSocket, with context takeover.
    own: Option<Decompress>,
}

impl Inflater {
    pub(crate) fn new(context_takeover: bool) -> Self {
        Self {
            own: context_takeover.then(|| Decompress::new(false)),
        }
    }

    /// Inflates a message to `max` bytes at most.
    pub(super) fn inflate(&mut self, payload: &[u8], max: usize) -> Result<Bytes, Violation> {
        let mut output = Vec::with_capacity(payload.len().saturating_mul(3).clamp(256, 64 * 1024));
        match &mut self.own {
            Some(own) => inflate(own, payload, max, &mut output)?,
            None => INFLATE.with_borrow_mut(|shared| {
                let context = shared.get_or_insert_with(|| Decompress::new(false));
                context.reset(false);
                inflate(context, payload, max, &mut output)
            })?,
        }
        Ok(output.into())
    }
}

fn inflate(
    context: &mut Decompress,
    payload: &[u8],
    max: usize,
    output: &mut Vec<u8>,
) -> Result<(), Violation> {
    const BROKEN: Violation =
        Violation::invalid("a compressed message cannot be inflated (RFC 7692 7.2.2)");
    for mut input in [payload, &TAIL] {
        loop {
            if output.len() > max {
                return Err(Violation::too_large("an inflated message is too long"));
            }
            if output.len() == output.capacity() {
                output.reserve_exact(output.len().min(max - output.len()).max(1));
            }
            let (came, gone) = (context.total_in(), output.len());
            let status = context.decompress_vec(input, output, FlushDecompress::Sync);
            let status = status.map_err(|_| BROKEN)?;
            // No more than the input's length.
            let taken = (context.total_in() - came) as usize;
            input = &input[taken..];
            if status == Status::StreamEnd {
                // A block is marked as the last one, but others may follow (RFC 7692 7.2.3.4).
                context.reset(false);
            } else if taken == 0
                && output.len() == gone
                && output.len() < output.capacity()
                && !input.is_empty()
            {
                return Err(BROKEN);
            }
            if input.is_empty() && output.len() < output.capacity() {
                break;
            }
        }
    }
    match output.len() > max {
        true => Err(Violation::too_large("an inflated message is too long")),
        false => Ok(()),
    }
}

/// Deflates messages to be sent.
#[derive(Debug)]
pub(crate) struct Deflater {
    own: Option<Compress>,
    window: Window,
    /// Smaller messages are not compressed.
    threshold: usize,
}

fn context(window: Window) -> Compress {
    Compress::new_with_window_bits(Compression::new(LEVEL), false, window.bits())
}

impl Deflater {
    pub(crate) fn new(context_takeover: bool, window: Window, threshold: usize) -> Self {
        Self {
            own: context_takeover.then(|| context(window)),
            window,
            threshold,
        }
    }

    /// `None`: the message is sent uncompressed.
    pub(crate) fn deflate(&mut self, payload: &[u8]) -> Option<Bytes> {
        if payload.len() < self.threshold.max(1) {
            return None;
        }
        if let Some(own) = &mut self.own {
            // The message is sent compressed even if it became larger, because the peer's context
            // has to contain it.
            return deflate(own, payload);
        }
        let deflated = DEFLATE.with_borrow_mut(|shared| {
            let slot = shared.get_mut(usize::from(self.window.bits()))?;
            let shared = slot.get_or_insert_with(|| context(self.window));
            shared.reset();
            deflate(shared, payload)
        })?;
        (deflated.len() < payload.len()).then_some(deflated)
    }
}

fn deflate(context: &mut Compress, mut input: &[u8]) -> Option<Bytes> {
    let mut output = Vec::with_capacity(input.len() / 2 + 64);
    loop {
        let came = context.total_in();
        context
            .compress_vec(input, &mut output, FlushCompress::Sync)
            .ok()?;
        input = &input[(context.total_in() - came) as usize..];
        if input.is_empty() && output.len() < output.capacity() {
            break;
        }
        output.reserve(output.len().max(64));
    }
    let len = output.len().checked_sub(TAIL.len())?;
    output.truncate(len);
    Some(output.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(takeover: bool, bits: u8, messages: &[Vec<u8>]) -> usize {
        let window = Window::new(bits).unwrap();
        let (mut deflater, mut inflater) =
            (Deflater::new(takeover, window, 0), Inflater::new(takeover));
        let mut sum = 0;
        for message in messages {
            let Some(deflated) = deflater.deflate(message) else {
                continue;
            };
            sum += deflated.len();
            let inflated = inflater.inflate(&deflated, message.len()).unwrap();
            assert!(inflated == message, "{bits} bits, {} bytes", message.len());
            let too_small = Inflater::new(false).inflate(&deflated, message.len() - 1);
            assert!(too_small.is_err() || takeover, "one byte less");
        }
        sum
    }

    #[test]
    fn deflated_payload_inflates_to_the_original() {
        let mut messages: Vec<Vec<u8>> = [1, 2, 100, 255, 256, 257, 1023, 16_384, 65_536, 300_000]
            .iter()
            .map(|size| {
                (0..*size)
                    .map(|n: u32| (n / 7 * (n % 89) % 251) as u8)
                    .collect()
            })
            .collect();
        messages.push(vec![7; 1 << 20]);
        for bits in 9..=15 {
            let without = round(false, bits, &messages);
            let with = round(true, bits, &messages);
            assert!(without > 0 && with > 0);
        }
        let once: String = (0..40)
            .map(|n: u32| format!("{{\"n\":{}}},", n * n))
            .collect();
        let twice = vec![once.clone().into_bytes(), once.into_bytes()];
        assert!(
            round(true, 15, &twice) < round(false, 15, &twice),
            "the second refers to the first"
        );
    }

    #[test]
    fn inflation_stops_at_the_limit() {
        let deflated = Deflater::new(false, Window::LARGEST, 0)
            .deflate(&vec![0; 64 << 20])
            .unwrap();
        assert!(deflated.len() < 512 * 1024);
        let refused = Inflater::new(false)
            .inflate(&deflated, 1 << 20)
            .unwrap_err();
        assert_eq!(refused.code, 1009);
    }

    #[test]
    fn invalid_blocks_are_rejected_and_a_final_block_is_accepted() {
        let garbage = Inflater::new(false).inflate(&[0xff; 20], 1000).unwrap_err();
        assert_eq!(garbage.code, 1007);
        // RFC 7692 7.2.3.4
        let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
        assert_eq!(Inflater::new(false).inflate(&last, 1000).unwrap(), "Hello");
        // 7.2.3.5, and 7.2.3.6: an empty message.
        let two = [
            0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
        ];
        assert_eq!(Inflater::new(false).inflate(&two, 1000).unwrap(), "Hello");
        assert_eq!(Inflater::new(false).inflate(&[0], 1000).unwrap(), "");
    }
}
