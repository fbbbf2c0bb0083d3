//! The receiving side of a stream. It has one operation at a time, which is armed as soon as the
//! connection waits for input. Its buffer is small until a peer fills it.
use crate::{
    buffer::{Buffer, SMALL},
    reusable_op::{ReusableOp, reusable_op},
};
use hyper::rt::ReadBufCursor;
use monoio::io::{AsyncReadRent, CancelHandle, CancelableAsyncReadRent, Canceller, OwnedReadHalf};
use rustix::io::Errno;
use std::{
    cell::UnsafeCell,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

pub(crate) struct Reader<S> {
    stream: Rc<UnsafeCell<S>>,
    small: Option<ReusableOp<Buffer, Received>>,
    large: Option<Box<Large>>,
    /// The received bytes, or an empty buffer for the next operation.
    buffer: Option<Buffer>,
    end: Option<ReadEnd>,
    /// The size of the next buffer. It grows when the peer fills a buffer, and is small again once
    /// the connection is idle.
    size: usize,
}

/// The result of an operation.
type Received = (io::Result<usize>, Buffer);

/// Operations with a large buffer, which can be cancelled.
struct Large {
    ops: ReusableOp<(Buffer, CancelHandle), Received>,
    canceller: Canceller,
    is_cancelled: bool,
}

/// The reason why nothing more is received.
enum ReadEnd {
    Closed,
    Failed(io::Error),
}

impl<S: AsyncReadRent + CancelableAsyncReadRent + 'static> Reader<S> {
    pub(crate) fn new(stream: Rc<UnsafeCell<S>>) -> Self {
        Self {
            stream,
            small: None,
            large: None,
            buffer: None,
            end: None,
            size: SMALL,
        }
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(remaining) = self.remaining() {
                let n = remaining.len().min(cursor.remaining());
                cursor.put_slice(&remaining[..n]);
                self.consume(n);
                return Poll::Ready(Ok(()));
            }
            match self.end.take() {
                Some(ReadEnd::Closed) => {
                    self.end = Some(ReadEnd::Closed);
                    return Poll::Ready(Ok(()));
                }
                Some(ReadEnd::Failed(error)) => {
                    self.end = Some(ReadEnd::Failed(error.kind().into()));
                    return Poll::Ready(Err(error));
                }
                None => {}
            }
            ready!(self.poll_read_op(cx));
        }
    }

    /// `is_idle`: no read or write is expected soon, so a large buffer returns to the pool.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>, is_idle: bool) -> Poll<()> {
        loop {
            if self.remaining().is_some() || self.end.is_some() {
                return Poll::Ready(());
            }
            if is_idle {
                self.size = SMALL;
                if let Some(large) = self.large.take() {
                    self.large = large.cancelled();
                }
            }
            ready!(self.poll_read_op(cx));
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether the current or next buffer is larger than an idle connection needs.
    pub(crate) fn is_large(&self) -> bool {
        self.size > SMALL
    }

    fn remaining(&self) -> Option<&[u8]> {
        let remaining = self.buffer.as_ref()?.remaining();
        (!remaining.is_empty()).then_some(remaining)
    }

    fn consume(&mut self, n: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.advance(n);
            if buffer.remaining().is_empty() {
                buffer.clear();
                if buffer.size() != self.size {
                    self.buffer = None;
                }
            }
        }
    }

    /// Ready when an operation has completed. Starts one if none is in flight.
    fn poll_read_op(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_in_flight() {
            self.start();
        }
        let (received, was_cancelled) = match (&mut self.large, &mut self.small) {
            (Some(large), _) if large.ops.is_in_flight() => {
                (ready!(large.ops.as_mut().poll(cx)), large.is_cancelled)
            }
            (_, Some(small)) => (ready!(small.as_mut().poll(cx)), false),
            (_, None) => return Poll::Pending,
        };
        match received {
            (Ok(0), _) => self.end = Some(ReadEnd::Closed),
            (Ok(_), buffer) => {
                if buffer.is_full() {
                    self.size = buffer.next_size();
                }
                self.buffer = Some(buffer);
            }
            (Err(e), _) if e.kind() == io::ErrorKind::Interrupted => {}
            (Err(e), _) if was_cancelled && Errno::from_io_error(&e) == Some(Errno::CANCELED) => {}
            (Err(e), _) => self.end = Some(ReadEnd::Failed(e)),
        }
        Poll::Ready(())
    }

    fn is_in_flight(&self) -> bool {
        self.large
            .as_ref()
            .is_some_and(|large| large.ops.is_in_flight())
            || self.small.as_ref().is_some_and(|ops| ops.is_in_flight())
    }

    fn start(&mut self) {
        let mut buffer = match self.buffer.take() {
            Some(buffer) if buffer.size() == self.size => buffer,
            _ => Buffer::with_capacity(self.size),
        };
        buffer.clear();
        let stream = &self.stream;
        if self.is_large() {
            let large = self
                .large
                .get_or_insert_with(|| Box::new(Large::new(stream)));
            large.is_cancelled = false;
            let handle = large.canceller.handle();
            large.ops.as_mut().start((buffer, handle));
        } else {
            let small = self.small.get_or_insert_with(|| {
                let stream = Rc::clone(stream);
                reusable_op(move |buffer| {
                    let mut half = OwnedReadHalf(Rc::clone(&stream));
                    async move { half.read(buffer).await }
                })
            });
            small.as_mut().start(buffer);
        }
    }
}

impl Large {
    fn new<S: CancelableAsyncReadRent + 'static>(stream: &Rc<UnsafeCell<S>>) -> Self {
        let stream = Rc::clone(stream);
        Self {
            ops: reusable_op(move |(buffer, handle)| {
                let mut half = OwnedReadHalf(Rc::clone(&stream));
                async move { half.cancelable_read(buffer, handle).await }
            }),
            canceller: Canceller::new(),
            is_cancelled: false,
        }
    }

    /// The state that the cancelled operation needs until it completes. Bytes that it has received
    /// are kept.
    fn cancelled(mut self: Box<Self>) -> Option<Box<Self>> {
        if !self.ops.is_in_flight() {
            return None;
        }
        if !self.is_cancelled {
            self.is_cancelled = true;
            self.canceller = self.canceller.cancel();
        }
        Some(self)
    }
}
