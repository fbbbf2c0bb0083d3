//! Tables of frames, right and wrong; and whatever is sent, it comes to the same however it is cut.
mod cuts;
mod table;

use super::{Assembler, Incoming, Sizes, Violation, frame::unmask};

pub(super) const SIZES: Sizes = Sizes {
    frame: 100_000,
    message: 150_000,
};

pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const MORE: u8 = 0;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;
pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;

/// A client's frame; `first` is its first byte.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    let mut payload = payload.to_vec();
    unmask(&mut payload, mask, 0);
    frame.extend(payload);
    frame
}

fn assembler() -> Assembler {
    let assembler = Assembler::new(SIZES);
    #[cfg(feature = "deflate")]
    let assembler = assembler.with_inflater(super::Inflater::new(false));
    assembler
}

/// What comes of these pieces, up to a violation.
pub(super) fn assemble<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<Incoming, Violation>> {
    let mut assembler = assembler();
    let mut all = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        // As a socket does it: what belongs to a large frame goes to its place at once.
        while !rest.is_empty() {
            let (n, incoming) = match assembler.direct() {
                Some(room) => {
                    let n = room.len().min(rest.len());
                    room[..n].copy_from_slice(&rest[..n]);
                    (n, assembler.advance(n))
                }
                None => {
                    let mut used = 0;
                    let incoming = assembler.next(rest, &mut used);
                    (used, incoming)
                }
            };
            rest = &mut rest[n..];
            match incoming {
                Ok(Some(incoming)) => all.push(Ok(incoming)),
                Ok(None) => {}
                Err(violation) => {
                    all.push(Err(violation));
                    return all;
                }
            }
        }
    }
    all
}
