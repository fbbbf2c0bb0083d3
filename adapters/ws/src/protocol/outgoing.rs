//! Turns messages into bytes. Small messages share a buffer, and large ones are queued without a
//! copy, except by a client: it masks them, in place if no other owner has them.
#[cfg(feature = "client")]
use super::{frame::apply_mask, side::new_mask};
use super::{frame::put_header, side::Side};
use bytes::Bytes;
#[cfg(feature = "client")]
use bytes::BytesMut;
use std::{collections::VecDeque, io::IoSlice, mem};
use tungstenite::protocol::frame::coding::OpCode;

/// A payload up to this size is copied.
const MAX_COPIED: usize = 4 * 1024;

/// How many slices are written at once.
const SLICES: usize = 16;

/// Bytes to be written: a pointer, which is null while there are none.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Option<Box<Pending>>);

/// Bytes to be written, and the buffer for small messages.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Written first.
    queue: VecDeque<Bytes>,
    queued: usize,
    /// Written after the queue, from `written` on.
    open: Vec<u8>,
    written: usize,
}

impl Outgoing {
    /// The number of bytes to be written.
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pending| pending.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a frame from this end. `buffer` returns an empty buffer. It is called only if there is
    /// none.
    pub(crate) fn push(
        &mut self,
        side: Side,
        opcode: OpCode,
        is_compressed: bool,
        payload: Bytes,
        buffer: impl FnOnce() -> Box<Pending>,
    ) {
        let pending = self.0.get_or_insert_with(buffer);
        match side {
            Side::Server => {
                put_header(
                    opcode,
                    is_compressed,
                    None,
                    payload.len(),
                    &mut pending.open,
                );
                pending.push(payload);
            }
            #[cfg(feature = "client")]
            Side::Client => pending.push_masked(opcode, is_compressed, payload),
        }
    }

    /// The bytes to be written next, as slices. Returns how many slices were set.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        self.0.as_ref().map_or(0, |pending| pending.slices(slices))
    }

    /// The bytes to be written next, in one piece.
    pub(crate) fn first(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |pending| pending.first())
    }

    /// Removes `n` bytes that have been written.
    pub(crate) fn advance(&mut self, n: usize) {
        if let Some(pending) = &mut self.0 {
            pending.advance(n);
        }
    }

    /// Returns the buffer, if all bytes have been written.
    pub(crate) fn reclaim(&mut self) -> Option<Box<Pending>> {
        let mut pending = self.0.take_if(|pending| pending.len() == 0)?;
        pending.clear();
        Some(pending)
    }

    /// Drops all bytes.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

impl Pending {
    /// Makes a buffer with room for this many bytes of small messages.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            open: Vec::with_capacity(bytes),
            ..Self::default()
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.open.capacity()
    }

    fn len(&self) -> usize {
        self.queued + self.open.len() - self.written
    }

    /// Adds the payload of a frame, whose header has been put into the buffer.
    #[inline]
    fn push(&mut self, payload: Bytes) {
        match payload.len() <= MAX_COPIED {
            true => self.open.extend_from_slice(&payload),
            false => self.push_large(payload),
        }
    }

    fn push_large(&mut self, payload: Bytes) {
        let before = Bytes::copy_from_slice(&self.open[mem::take(&mut self.written)..]);
        self.open.clear();
        self.queued += before.len() + payload.len();
        self.queue.extend([before, payload]);
    }

    /// Adds a frame with a mask. It is not inlined, so that a server's frames cost no more where
    /// there is a client.
    #[cfg(feature = "client")]
    #[inline(never)]
    fn push_masked(&mut self, opcode: OpCode, is_compressed: bool, payload: Bytes) {
        let mask = new_mask();
        put_header(
            opcode,
            is_compressed,
            Some(mask),
            payload.len(),
            &mut self.open,
        );
        if payload.len() <= MAX_COPIED {
            let start = self.open.len();
            self.open.extend_from_slice(&payload);
            apply_mask(&mut self.open[start..], mask, 0);
            return;
        }
        let mut payload = payload
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        apply_mask(&mut payload, mask, 0);
        self.push_large(payload.freeze());
    }

    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let queued = self.queue.iter().map(|bytes| &bytes[..]);
        let open = &self.open[self.written..];
        let all = queued.chain((!open.is_empty()).then_some(open));
        let mut count = 0;
        for (slot, bytes) in slices.iter_mut().zip(all) {
            *slot = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    fn first(&self) -> &[u8] {
        match self.queue.front() {
            Some(bytes) => bytes,
            None => &self.open[self.written..],
        }
    }

    fn advance(&mut self, mut n: usize) {
        while n > 0
            && let Some(first) = self.queue.front_mut()
        {
            let taken = n.min(first.len());
            let _ = first.split_to(taken);
            (n, self.queued) = (n - taken, self.queued - taken);
            if first.is_empty() {
                self.queue.pop_front();
            }
        }
        self.written += n;
    }

    /// Drops all bytes, and keeps the buffer for small messages.
    fn clear(&mut self) {
        self.queue = VecDeque::new();
        (self.queued, self.written) = (0, 0);
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tungstenite::protocol::frame::coding::Data;

    const BINARY: OpCode = OpCode::Data(Data::Binary);

    fn written(mut outgoing: Outgoing, at_once: usize, vectored: bool) -> Vec<u8> {
        let mut all = Vec::new();
        while !outgoing.is_empty() {
            let piece = match vectored {
                true => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let count = outgoing.slices(&mut slices);
                    slices[..count]
                        .iter()
                        .flat_map(|slice| slice.to_vec())
                        .collect()
                }
                false => outgoing.first().to_vec(),
            };
            let n = at_once.min(piece.len());
            all.extend_from_slice(&piece[..n]);
            outgoing.advance(n);
        }
        assert!(outgoing.reclaim().is_some_and(|buffer| buffer.len() == 0));
        all
    }

    /// The order of the bytes does not depend on how many of them each write accepts.
    #[test]
    fn frames_are_written_in_order() {
        let sizes = [
            0,
            1,
            125,
            126,
            MAX_COPIED,
            MAX_COPIED + 1,
            66_000,
            3,
            MAX_COPIED + 1,
            5,
        ];
        let outgoing = || {
            let mut outgoing = Outgoing::default();
            for (n, size) in sizes.iter().enumerate() {
                let payload = vec![n as u8; *size].into();
                outgoing.push(Side::Server, BINARY, false, payload, Box::default);
            }
            outgoing
        };
        let mut expected = Vec::new();
        for (n, size) in sizes.iter().enumerate() {
            put_header(BINARY, false, None, *size, &mut expected);
            expected.extend(vec![n as u8; *size]);
        }
        assert_eq!(outgoing().len(), expected.len());
        for at_once in [997, 4096, 65_536, usize::MAX] {
            for vectored in [false, true] {
                assert!(
                    written(outgoing(), at_once, vectored) == expected,
                    "{at_once} at once"
                );
            }
        }
    }
}
