//! The messages of arbitrary bytes, in one piece and in many. The fuzz target `websocket` uses this
//! file, too.
use crate::protocol::{Assembler, Incoming, Side, Sizes, Violation};

const SIZES: Sizes = Sizes {
    frame: 100_000,
    message: 150_000,
};

fn assembler(side: Side) -> Assembler {
    let assembler = Assembler::new(side, SIZES);
    #[cfg(feature = "deflate")]
    let assembler = assembler.with_inflater(crate::protocol::Inflater::new(false));
    assembler
}

/// The messages that a server reads from these pieces, up to a violation.
pub(crate) fn assemble<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Incoming, Violation>> {
    assemble_at(Side::Server, pieces)
}

/// The messages that this end reads from these pieces, up to a violation.
pub(crate) fn assemble_at<'a>(
    side: Side,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Result<Incoming, Violation>> {
    let mut assembler = assembler(side);
    let mut all = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        // As in a socket, the bytes of a large frame are read directly into its buffer.
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

/// The first byte is the length of the pieces. The other bytes are sent.
pub(crate) fn check(data: &[u8]) {
    let Some((&len, bytes)) = data.split_first() else {
        return;
    };
    let sides = [
        Side::Server,
        #[cfg(feature = "client")]
        Side::Client,
    ];
    for side in sides {
        let whole = assemble_at(side, [bytes]);
        let len = usize::from(len).max(1);
        assert_eq!(assemble_at(side, bytes.chunks(len)), whole);
        assert_eq!(assemble_at(side, bytes.chunks(1)), whole);
    }
}
