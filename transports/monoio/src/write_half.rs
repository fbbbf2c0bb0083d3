//! The write half of a stream, which sends by an operation or by a system call.
use crate::buffer::Buffer;
use monoio::io::{AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use std::{
    cell::UnsafeCell,
    future::Future,
    io::{self, IoSlice},
    os::fd::{BorrowedFd, RawFd},
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

/// The kernel refuses more slices in one call (UIO_MAXIOV).
const IOV_MAX: usize = 1024;

/// monoio's write half, with the stream's descriptor.
pub(crate) struct WriteHalf<S: AsyncWriteRent> {
    half: Option<OwnedWriteHalf<S>>,
    descriptor: RawFd,
    /// An operation has been handed to an io-wq thread, which sleeps: later bytes are sent by
    /// system calls.
    pub(crate) has_blocked: bool,
}

impl<S: AsyncWriteRent> WriteHalf<S> {
    pub(crate) fn new(stream: Rc<UnsafeCell<S>>, descriptor: RawFd) -> Self {
        Self {
            half: Some(OwnedWriteHalf(stream)),
            descriptor,
            has_blocked: false,
        }
    }

    pub(crate) async fn write(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match &mut self.half {
            Some(half) => half.write(buffer).await,
            None => (Err(io::ErrorKind::BrokenPipe.into()), buffer),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(half) = &mut self.half else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        // monoio shuts a socket down at once, by a system call.
        match pin!(half.shutdown()).poll(cx) {
            // The peer has reset the connection, so there is nothing to shut down.
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `half` exists until `self` is dropped. It keeps the stream alive, and the stream
        // keeps its descriptor open.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }

    /// Sends what the kernel takes at once, and returns how much that was.
    pub(crate) fn try_send(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(IOV_MAX)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(
            self.socket(),
            bufs,
            &mut SendAncillaryBuffer::default(),
            flags,
        )?)
    }
}

impl<S: AsyncWriteRent> Drop for WriteHalf<S> {
    fn drop(&mut self) {
        // A write half that is dropped alone calls shutdown(2). Closing the descriptor does that as
        // well, so the halves are reunited, and the system call is saved.
        if let Some(half) = self.half.take()
            && Rc::strong_count(&half.0) == 1
        {
            let other = OwnedReadHalf(Rc::clone(&half.0));
            drop(half.reunite(other));
        }
    }
}
