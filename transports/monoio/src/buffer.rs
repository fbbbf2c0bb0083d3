//! Buffers that an operation owns while the kernel uses them: three sizes, pooled per thread.
use monoio::buf::{IoBuf, IoBufMut};
use std::{
    cell::{Cell, RefCell},
    mem,
};

/// The sizes there are: for a connection that waits, for the head of any request, for bodies.
/// Whoever fills one gets the next larger one.
const SIZES: [usize; 3] = [192, 4 * 1024, 16 * 1024];

/// The smallest one.
pub(crate) const SMALL: usize = SIZES[0];
/// The largest one: an operation carries no more.
pub(crate) const LARGEST: usize = SIZES[SIZES.len() - 1];

/// How many bytes of each size a thread keeps: those of a burst.
const KEPT: usize = 1024 * 1024;

/// A buffer on its way through the kernel, or with what came of it. Back in its pool once it's
/// dropped, also if the operation that has it is left to itself.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// How much of it has been taken, or sent, already.
    start: usize,
}

#[derive(Default)]
struct Pool {
    kept: [RefCell<Vec<Vec<u8>>>; SIZES.len()],
    out: Cell<usize>,
}

thread_local! {
    static POOL: Pool = Pool::default();
}

/// How many buffers of this thread are in use: by operations, if by nobody else.
pub(crate) fn in_use() -> usize {
    POOL.with(|pool| pool.out.get())
}

impl Buffer {
    /// An empty one, for at least so many bytes, or for as many as [`LARGEST`].
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        POOL.with(|pool| {
            pool.out.set(pool.out.get() + 1);
            let class = SIZES.iter().position(|&size| bytes <= size);
            let class = class.unwrap_or(SIZES.len() - 1);
            let pooled = pool.kept[class].borrow_mut().pop();
            Self {
                bytes: pooled.unwrap_or_else(|| Vec::with_capacity(SIZES[class])),
                start: 0,
            }
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.capacity()
    }

    /// The size that suits a peer that has filled this one.
    pub(crate) fn next_size(&self) -> usize {
        let larger = SIZES.into_iter().find(|&size| size > self.size());
        larger.unwrap_or(LARGEST)
    }

    /// What's in it and has not been taken yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// So many bytes have been taken.
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

    /// Appends as much as there's room for; how much.
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
            pool.out.set(pool.out.get().saturating_sub(1));
            let size = bytes.capacity();
            let Some(class) = SIZES.iter().position(|&class| class == size) else {
                return;
            };
            let mut kept = pool.kept[class].borrow_mut();
            if kept.len() < KEPT / size {
                kept.push(bytes);
            }
        });
    }
}

// SAFETY: the bytes are in a vector's allocation, which doesn't move when the `Buffer` does, and
// lives until the `Buffer` is dropped. The `bytes_init` bytes from `read_ptr` on are the vector's
// own from `start` to its length, all of them initialized; `start` never exceeds the length.
unsafe impl IoBuf for Buffer {
    fn read_ptr(&self) -> *const u8 {
        self.rest().as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.rest().len()
    }
}

// SAFETY: as above; the kernel may write all of the vector's capacity, which is what `bytes_total`
// says, and nothing else has access to it meanwhile, since the operation owns the `Buffer`.
unsafe impl IoBufMut for Buffer {
    fn write_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        self.bytes.capacity()
    }

    unsafe fn set_init(&mut self, pos: usize) {
        // SAFETY: the caller says that the first `pos` bytes are initialized, and `pos` is no more
        // than `bytes_total`, the capacity.
        unsafe { self.bytes.set_len(pos) };
        self.start = self.start.min(pos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_to_its_pool_empty() {
        let mut buffer = Buffer::with_capacity(3);
        assert_eq!(buffer.append(b"abc"), 3);
        buffer.advance(1);
        assert_eq!(buffer.rest(), b"bc");
        let at = buffer.write_ptr();
        drop(buffer);
        let mut again = Buffer::with_capacity(SMALL);
        assert_eq!((again.write_ptr(), again.rest()), (at, &b""[..]));
        assert_eq!(in_use(), 1);
    }

    #[test]
    fn a_pool_keeps_no_more_than_a_burst() {
        for size in SIZES {
            let most = KEPT / size;
            let many: Vec<_> = (0..2 * most).map(|_| Buffer::with_capacity(size)).collect();
            drop(many);
            let kept: usize =
                POOL.with(|pool| pool.kept.iter().map(|kept| kept.borrow().len()).sum());
            assert_eq!(kept, most);
            POOL.with(|pool| pool.kept.iter().for_each(|kept| kept.borrow_mut().clear()));
        }
        assert_eq!(in_use(), 0);
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let mut buffer = Buffer::with_capacity(usize::MAX);
        assert_eq!(buffer.append(&[7; LARGEST + 1]), LARGEST);
        assert!(buffer.is_full());
        assert_eq!(buffer.append(b"x"), 0);
    }

    #[test]
    fn whoever_fills_a_buffer_gets_a_larger_one() {
        let sizes = |bytes| Buffer::with_capacity(bytes).next_size();
        assert_eq!(
            [0, 192, 193, 16_384].map(sizes),
            [4096, 4096, 16_384, 16_384]
        );
    }
}
