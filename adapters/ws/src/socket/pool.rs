//! The buffers of a worker. A WebSocket has a buffer only while it holds bytes.
use crate::protocol::Pending;
use hyper::rt::{Read, ReadBuf};
use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

/// The size of a TLS record.
const READ: usize = 16 * 1024;
const WRITE: usize = 4 * 1024;
/// A buffer that grew beyond this size is not kept.
const MAX_KEPT_BYTES: usize = 64 * 1024;
/// How many buffers of each kind are kept.
const MAX_POOLED: usize = 16;

/// A pool. The buffers stay in their boxes.
type Boxes<T> = Vec<Box<T>>;

thread_local! {
    static READING: RefCell<Boxes<ReadBuffer>> = const { RefCell::new(Vec::new()) };
    static WRITING: RefCell<Boxes<Pending>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that were read from the connection.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// Reads into one of the worker's buffers. `None`: the peer has ended its half.
    pub(super) fn poll_read(
        io: Pin<&mut impl Read>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Box<Self>>>> {
        let pooled = READING.with_borrow_mut(Vec::pop);
        // A buffer is zeroed once, not before each read.
        let mut buffer = pooled.unwrap_or_else(|| {
            Box::new(Self {
                bytes: vec![0; READ].into(),
                start: 0,
                end: 0,
            })
        });
        let mut space = ReadBuf::new(&mut buffer.bytes);
        let polled = io.poll_read(cx, space.unfilled());
        (buffer.end, buffer.start) = (space.filled().len(), 0);
        match polled {
            Poll::Ready(Ok(())) if !buffer.is_empty() => Poll::Ready(Ok(Some(buffer))),
            other => {
                buffer.recycle();
                other.map_ok(|()| None)
            }
        }
    }

    pub(super) fn unread(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn recycle(self: Box<Self>) {
        READING.with_borrow_mut(|pool| keep(pool, self));
    }
}

pub(super) fn write_buffer() -> Box<Pending> {
    let pooled = WRITING.with_borrow_mut(Vec::pop);
    pooled.unwrap_or_else(|| Box::new(Pending::with_capacity(WRITE)))
}

pub(super) fn recycle_write_buffer(buffer: Box<Pending>) {
    if buffer.capacity() <= MAX_KEPT_BYTES {
        WRITING.with_borrow_mut(|pool| keep(pool, buffer));
    }
}

fn keep<T>(pool: &mut Vec<T>, buffer: T) {
    if pool.len() < MAX_POOLED {
        pool.push(buffer);
    }
}
