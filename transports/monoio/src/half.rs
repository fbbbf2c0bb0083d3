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

/// More of them the kernel refuses (UIO_MAXIOV).
const MOST_SLICES: usize = 1024;

/// What's sent with.
pub(crate) struct Half<S: AsyncWriteRent> {
    half: Option<OwnedWriteHalf<S>>,
    /// The stream's.
    descriptor: RawFd,
    /// An operation has been given a thread to sleep in: no other one shall be.
    pub(crate) is_slow: bool,
}

impl<S: AsyncWriteRent> Half<S> {
    /// Of a stream with this descriptor.
    pub(crate) fn new(stream: Rc<UnsafeCell<S>>, descriptor: RawFd) -> Self {
        Self {
            half: Some(OwnedWriteHalf(stream)),
            descriptor,
            is_slow: false,
        }
    }

    pub(crate) async fn write(&mut self, buffer: Buffer) -> (io::Result<usize>, Buffer) {
        match &mut self.half {
            Some(half) => half.write(buffer).await,
            None => (Err(io::ErrorKind::BrokenPipe.into()), buffer),
        }
    }

    /// Ends the sending.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(half) = &mut self.half else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        // monoio does it at once, by a system call.
        match pin!(half.shutdown()).poll(cx) {
            // The peer has reset the connection: there's nothing to be ended.
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            polled => polled,
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `half` is there until `self` is dropped, and with it the stream, whose descriptor
        // is open for as long as it lives.
        unsafe { BorrowedFd::borrow_raw(self.descriptor) }
    }

    /// Sends what the kernel takes at once; how much, or that it takes nothing.
    pub(crate) fn send_now(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let bufs = &bufs[..bufs.len().min(MOST_SLICES)];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(sendmsg(
            self.socket(),
            bufs,
            &mut SendAncillaryBuffer::default(),
            flags,
        )?)
    }
}

impl<S: AsyncWriteRent> Drop for Half<S> {
    fn drop(&mut self) {
        // A sending half that's dropped alone ends the sending by a system call; closing does that,
        // too. Put together, the halves are just closed.
        if let Some(half) = self.half.take()
            && Rc::strong_count(&half.0) == 1
        {
            let other = OwnedReadHalf(Rc::clone(&half.0));
            drop(half.reunite(other));
        }
    }
}
