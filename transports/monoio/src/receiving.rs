//! The receiving half of a stream: one operation at a time, armed as soon as somebody wants to read. Its buffer is small until a peer sends more than fits.
use crate::buffer::{Buffer, SMALL};
use hyper::rt::ReadBufCursor;
use monoio::io::{AsyncReadRent, CancelableAsyncReadRent, Canceller, OwnedReadHalf};
use std::{
    cell::UnsafeCell,
    future::Future,
    io, mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// What the kernel says of an operation that was cancelled (ECANCELED).
const CANCELLED: i32 = 125;

/// The receiving half of a stream.
pub(crate) struct Receiving<S> {
    stream: Rc<UnsafeCell<S>>,
    op: Option<Op>,
    /// Of an operation with a large buffer.
    canceller: Option<Canceller>,
    /// What has been received; or an empty buffer, for the next operation.
    buffer: Option<Buffer>,
    end: Option<End>,
    /// Of the next buffer: as large as the peer has made use of, until it's idle.
    size: usize,
}

type Op = Pin<Box<dyn Future<Output = (io::Result<usize>, Buffer)>>>;

/// Why nothing more is received.
enum End {
    Closed,
    Failed(io::Error),
}

impl<S: AsyncReadRent + CancelableAsyncReadRent + 'static> Receiving<S> {
    pub(crate) fn new(stream: Rc<UnsafeCell<S>>) -> Self {
        Self {
            stream,
            op: None,
            canceller: None,
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
            if self.op.is_none() {
                self.arm();
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
                // What it brings nevertheless, is kept.
                self.canceller = self.canceller.take().map(Canceller::cancel);
            }
            if self.op.is_none() {
                self.arm();
            }
            ready!(self.poll_op(cx));
        }
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

    fn arm(&mut self) {
        let mut buffer = match self.buffer.take() {
            Some(buffer) if buffer.size() == self.size => buffer,
            _ => Buffer::with_capacity(self.size),
        };
        buffer.clear();
        let mut half = OwnedReadHalf(Rc::clone(&self.stream));
        self.op = Some(if self.is_large() {
            let canceller = Canceller::new();
            let handle = canceller.handle();
            self.canceller = Some(canceller);
            Box::pin(async move { half.cancelable_read(buffer, handle).await })
        } else {
            Box::pin(async move { half.read(buffer).await })
        });
    }

    fn poll_op(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(op) = &mut self.op else {
            return Poll::Ready(());
        };
        let (result, mut buffer) = ready!(op.as_mut().poll(cx));
        self.op = None;
        let was_cancellable = mem::take(&mut self.canceller).is_some();
        match result {
            Ok(0) => self.end = Some(End::Closed),
            Ok(_) => {
                if buffer.is_full() {
                    self.size = buffer.next_size();
                }
                self.buffer = Some(buffer);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if was_cancellable && e.raw_os_error() == Some(CANCELLED) => {}
            Err(e) => {
                buffer.clear();
                self.end = Some(End::Failed(e));
            }
        }
        Poll::Ready(())
    }
}
