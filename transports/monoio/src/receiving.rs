//! The receiving side of a stream. It has one operation at a time, which is armed as soon as the
//! connection waits for input. Its buffer is small until a peer fills it.
use crate::{
    buffer::{Buffer, SMALL},
    operation::{Operations, operations},
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

/// The receiving half of a stream.
pub(crate) struct Receiving<S> {
    stream: Rc<UnsafeCell<S>>,
    small: Option<Operations<Buffer, Received>>,
    large: Option<Box<Large>>,
    /// What has been received; or an empty buffer, for the next operation.
    buffer: Option<Buffer>,
    end: Option<End>,
    /// Of the next buffer: as large as the peer has made use of, until it's idle.
    size: usize,
}

/// What becomes of an operation.
type Received = (io::Result<usize>, Buffer);

/// Operations with a large buffer, which can be taken back.
struct Large {
    ops: Operations<(Buffer, CancelHandle), Received>,
    canceller: Canceller,
    is_cancelled: bool,
}

/// Why nothing more is received.
enum End {
    Closed,
    Failed(io::Error),
}

impl<S: AsyncReadRent + CancelableAsyncReadRent + 'static> Receiving<S> {
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
            if let Some(rest) = self.rest() {
                let n = rest.len().min(cursor.remaining());
                cursor.put_slice(&rest[..n]);
                self.taken(n);
                return Poll::Ready(Ok(()));
            }
            match self.end.take() {
                Some(End::Closed) => {
                    self.end = Some(End::Closed);
                    return Poll::Ready(Ok(()));
                }
                Some(End::Failed(error)) => {
                    self.end = Some(End::Failed(error.kind().into()));
                    return Poll::Ready(Err(error));
                }
                None => {}
            }
            ready!(self.poll_op(cx));
        }
    }

    /// `is_idle`: nobody is about to read or write, so a large buffer is better used elsewhere.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>, is_idle: bool) -> Poll<()> {
        loop {
            if self.rest().is_some() || self.end.is_some() {
                return Poll::Ready(());
            }
            if is_idle {
                self.size = SMALL;
                if let Some(large) = self.large.take() {
                    self.large = large.cancelled();
                }
            }
            ready!(self.poll_op(cx));
        }
    }

    /// Whether nothing more is received.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether it has, or is about to have, a buffer that's larger than it needs while it waits.
    pub(crate) fn is_large(&self) -> bool {
        self.size > SMALL
    }

    fn rest(&self) -> Option<&[u8]> {
        let rest = self.buffer.as_ref()?.rest();
        (!rest.is_empty()).then_some(rest)
    }

    fn taken(&mut self, n: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.advance(n);
            if buffer.rest().is_empty() {
                buffer.clear();
                if buffer.size() != self.size {
                    self.buffer = None;
                }
            }
        }
    }

    /// Ready when an operation is done; begins one, if there's none.
    fn poll_op(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_under_way() {
            self.begin();
        }
        let (received, was_cancelled) = match (&mut self.large, &mut self.small) {
            (Some(large), _) if large.ops.is_under_way() => {
                (ready!(large.ops.as_mut().poll(cx)), large.is_cancelled)
            }
            (_, Some(small)) => (ready!(small.as_mut().poll(cx)), false),
            (_, None) => return Poll::Pending,
        };
        match received {
            (Ok(0), _) => self.end = Some(End::Closed),
            (Ok(_), buffer) => {
                if buffer.is_full() {
                    self.size = buffer.next_size();
                }
                self.buffer = Some(buffer);
            }
            (Err(e), _) if e.kind() == io::ErrorKind::Interrupted => {}
            (Err(e), _) if was_cancelled && Errno::from_io_error(&e) == Some(Errno::CANCELED) => {}
            (Err(e), _) => self.end = Some(End::Failed(e)),
        }
        Poll::Ready(())
    }

    fn is_under_way(&self) -> bool {
        self.large
            .as_ref()
            .is_some_and(|large| large.ops.is_under_way())
            || self.small.as_ref().is_some_and(|ops| ops.is_under_way())
    }

    fn begin(&mut self) {
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
            large.ops.as_mut().begin((buffer, handle));
        } else {
            let small = self.small.get_or_insert_with(|| {
                let stream = Rc::clone(stream);
                operations(move |buffer| {
                    let mut half = OwnedReadHalf(Rc::clone(&stream));
                    async move { half.read(buffer).await }
                })
            });
            small.as_mut().begin(buffer);
        }
    }
}

impl Large {
    fn new<S: CancelableAsyncReadRent + 'static>(stream: &Rc<UnsafeCell<S>>) -> Self {
        let stream = Rc::clone(stream);
        Self {
            ops: operations(move |(buffer, handle)| {
                let mut half = OwnedReadHalf(Rc::clone(&stream));
                async move { half.cancelable_read(buffer, handle).await }
            }),
            canceller: Canceller::new(),
            is_cancelled: false,
        }
    }

    /// What's needed until the operation that's under way is done, with what it brings
    /// nevertheless.
    fn cancelled(mut self: Box<Self>) -> Option<Box<Self>> {
        if !self.ops.is_under_way() {
            return None;
        }
        if !self.is_cancelled {
            self.is_cancelled = true;
            self.canceller = self.canceller.cancel();
        }
        Some(self)
    }
}
