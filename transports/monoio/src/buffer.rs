//! Buffers that an operation owns while the kernel uses them: four sizes, pooled per thread.
use monoio::buf::{IoBuf, IoBufMut};
use std::{
    cell::{Cell, RefCell},
    mem,
};

/// The sizes of buffers: for an idle connection, for a request head, for bodies, and for large
/// uploads. A peer that fills one gets the next larger size.
const SIZES: [usize; 4] = [192, 4 * 1024, 16 * 1024, 64 * 1024];

pub(crate) const SMALL: usize = SIZES[0];
/// The largest size: one operation reads no more.
const LARGEST: usize = SIZES[SIZES.len() - 1];
/// A larger write is not copied into a buffer.
pub(crate) const MAX_COPIED: usize = 16 * 1024;

/// How many bytes of each size a thread pools: as much as a burst needs.
const MAX_POOLED_BYTES: usize = 1024 * 1024;

/// A buffer of an operation in flight, or of one that has completed. Its memory returns to the pool
/// when it is dropped, even after the operation was detached.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// How many bytes have been read or sent already.
    start: usize,
}

#[derive(Default)]
struct Pool {
    free: [RefCell<Vec<Vec<u8>>>; SIZES.len()],
    in_use: Cell<usize>,
}

thread_local! {
    static POOL: Pool = Pool::default();
}

/// How many buffers of this thread are in use. At the end of a worker, only operations hold any.
pub(crate) fn in_use() -> usize {
    POOL.with(|pool| pool.in_use.get())
}

impl Buffer {
    /// An empty buffer for at least `bytes` bytes, but at most [`LARGEST`].
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        POOL.with(|pool| {
            pool.in_use.set(pool.in_use.get() + 1);
            let class = SIZES.iter().position(|&size| bytes <= size);
            let class = class.unwrap_or(SIZES.len() - 1);
            let pooled = pool.free[class].borrow_mut().pop();
            Self {
                bytes: pooled.unwrap_or_else(|| Vec::with_capacity(SIZES[class])),
                start: 0,
            }
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.capacity()
    }

    /// The size for a peer that has filled this one.
    pub(crate) fn next_size(&self) -> usize {
        let larger = SIZES.into_iter().find(|&size| size > self.size());
        larger.unwrap_or(LARGEST)
    }

    /// The bytes that have not been read or sent yet.
    pub(crate) fn remaining(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.start = self.bytes.len().min(self.start + bytes);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() == self.bytes.capacity()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    /// Appends as much as fits, and returns how much that was.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        let n = bytes.len().min(self.bytes.capacity() - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..n]);
        n
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.clear();
        let _ = POOL.try_with(|pool| {
            pool.in_use.set(pool.in_use.get().saturating_sub(1));
            let size = bytes.capacity();
            let Some(class) = SIZES.iter().position(|&class| class == size) else {
                return;
            };
            let mut free = pool.free[class].borrow_mut();
            if free.len() < MAX_POOLED_BYTES / size {
                free.push(bytes);
            }
        });
    }
}

// SAFETY: the bytes are in a vector's allocation, which does not move when the `Buffer` does, and
// lives until the `Buffer` is dropped. The `bytes_init` bytes from `read_ptr` on are the vector's
// own from `start` to its length, all of them initialized. `start` never exceeds the length.
unsafe impl IoBuf for Buffer {
    fn read_ptr(&self) -> *const u8 {
        self.remaining().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.remaining().len()
    }
}

// SAFETY: as above. The kernel may write all of the vector's capacity, which is what `bytes_total`
// returns. Nothing else has access to it during the operation, since the operation owns the
// `Buffer`.
unsafe impl IoBufMut for Buffer {
    fn write_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.bytes.capacity()
    }

    unsafe fn set_init(&mut self, pos: usize) {
        // SAFETY: the caller guarantees that the first `pos` bytes are initialized, and `pos` is at
        // most `bytes_total`, the capacity.
        unsafe { self.bytes.set_len(pos) };
        self.start = self.start.min(pos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_buffer_returns_to_its_pool_empty() {
        let mut buffer = Buffer::with_capacity(3);
        assert_eq!(buffer.append(b"abc"), 3);
        buffer.advance(1);
        assert_eq!(buffer.remaining(), b"bc");
        let at = buffer.write_ptr();
        drop(buffer);
        let mut again = Buffer::with_capacity(SMALL);
        assert_eq!((again.write_ptr(), again.remaining()), (at, &b""[..]));
        assert_eq!(in_use(), 1);
    }

    #[test]
    fn pool_size_is_bounded() {
        for size in SIZES {
            let most = MAX_POOLED_BYTES / size;
            let many: Vec<_> = (0..2 * most).map(|_| Buffer::with_capacity(size)).collect();
            drop(many);
            let free: usize =
                POOL.with(|pool| pool.free.iter().map(|free| free.borrow().len()).sum());
            assert_eq!(free, most);
            POOL.with(|pool| pool.free.iter().for_each(|free| free.borrow_mut().clear()));
        }
        assert_eq!(in_use(), 0);
    }

    #[test]
    fn append_stops_at_the_capacity() {
        let mut buffer = Buffer::with_capacity(usize::MAX);
        assert_eq!(buffer.append(&[7; LARGEST + 1]), LARGEST);
        assert!(buffer.is_full());
        assert_eq!(buffer.append(b"x"), 0);
    }

    #[test]
    fn next_size_grows_after_a_full_buffer() {
        let sizes = |bytes| Buffer::with_capacity(bytes).next_size();
        assert_eq!(
            [0, 192, 193, 16_384, 65_536].map(sizes),
            [4096, 4096, 16_384, 65_536, 65_536]
        );
    }
}
