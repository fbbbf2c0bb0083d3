//! The header of a frame (RFC 6455 5.2). Tungstenite reads and writes it; this module checks
//! the rules for received frames.
use super::violation::Violation;
use std::io::Cursor;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

/// The longest header of a masked frame.
pub(super) const MAX_HEADER: usize = 14;

/// The longest payload of a control frame (RFC 6455 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
    Close,
}

impl Kind {
    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Ping | Self::Pong | Self::Close)
    }
}

/// The header of a received frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) is_final: bool,
    /// RSV1: the message is compressed (RFC 7692 6).
    pub(super) is_compressed: bool,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) length: u64,
}

impl Header {
    /// Parses the header at the beginning of `bytes`; returns its length, too. `None`: the header
    /// is incomplete.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let mut cursor = Cursor::new(bytes);
        let parsed = FrameHeader::parse(&mut cursor)
            .map_err(|_| Violation::protocol("a frame has an unknown opcode (RFC 6455 5.2)"))?;
        let Some((header, length)) = parsed else {
            return Ok(None);
        };
        let header = Self::check(&header, length)?;
        // A header has 14 bytes at most.
        Ok(Some((header, cursor.position() as usize)))
    }

    fn check(header: &FrameHeader, length: u64) -> Result<Self, Violation> {
        let kind = match header.opcode {
            OpCode::Data(Data::Text) => Kind::Text,
            OpCode::Data(Data::Binary) => Kind::Binary,
            OpCode::Control(Control::Ping) => Kind::Ping,
            OpCode::Control(Control::Pong) => Kind::Pong,
            OpCode::Control(Control::Close) => Kind::Close,
            _ => Kind::Continuation,
        };
        if header.rsv2 || header.rsv3 {
            return Err(Violation::protocol(
                "a frame has a reserved bit (RFC 6455 5.2)",
            ));
        }
        if kind.is_control() && !(header.is_final && length <= MAX_CONTROL as u64) {
            return Err(Violation::protocol(
                "a control frame is fragmented, or longer than 125 bytes (RFC 6455 5.5)",
            ));
        }
        if length >> 63 != 0 {
            return Err(Violation::protocol(
                "a frame's length has its highest bit set (RFC 6455 5.2)",
            ));
        }
        Ok(Self {
            kind,
            is_final: header.is_final,
            is_compressed: header.rsv1,
            mask: header.mask,
            length,
        })
    }
}

/// Appends the header of a frame from this end to `output`.
pub(super) fn put_header(
    opcode: OpCode,
    is_compressed: bool,
    mask: Option<[u8; 4]>,
    length: usize,
    output: &mut Vec<u8>,
) {
    let header = FrameHeader {
        is_final: true,
        rsv1: is_compressed,
        opcode,
        mask,
        ..FrameHeader::default()
    };
    // Writing to a vector does not fail.
    let _ = header.format(length as u64, output);
}

/// Adds the mask to the bytes of a payload that begin at `offset`, or removes it (RFC 6455 5.3).
pub(super) fn apply_mask(bytes: &mut [u8], mut mask: [u8; 4], offset: u64) {
    mask.rotate_left((offset % 4) as usize);
    let wide = u64::from(u32::from_ne_bytes(mask));
    let wide = wide << 32 | wide;
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(word) = <&mut [u8; 8]>::try_from(word) {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}
