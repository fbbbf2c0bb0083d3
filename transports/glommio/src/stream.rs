//! Implements hyper's I/O traits for a stream of glommio.
use anyport_core::{
    socket,
    transport::{LocalStream, PeerState},
};
use futures_io::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::{
    io::Errno,
    net::{self, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown},
};
use std::{
    cell::Cell,
    io::{self, IoSlice},
    mem,
    os::fd::{AsRawFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll},
};

/// The maximum size of a read through the scratch buffer. A larger destination means a large body,
/// which is read directly.
const MAX_SCRATCH_READ: usize = 64 * 1024;
/// Up to this size, copying several slices is cheaper than a vectored send.
const MAX_COPIED: usize = 4096;

/// A glommio stream. Reads go through glommio, which first tries to read and then waits. After a
/// short read, glommio starts to wait at once. Writes are system calls of this crate, since glommio
/// has no vectored write; glommio waits until the socket is writable.
pub(crate) struct Stream {
    inner: TcpStream,
    /// The latest write was pending.
    is_blocked: bool,
}

thread_local! {
    /// Reads go into this buffer, and slices are joined in it. It is initialized, which glommio's
    /// reads need.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Takes the thread's scratch buffer for the call. A waker that is dropped during the call may run
/// code that needs another scratch buffer.
fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH
        .take()
        .unwrap_or_else(|| vec![0; MAX_SCRATCH_READ].into_boxed_slice());
    let result = f(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

impl Stream {
    /// Takes a stream of any socket family.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            inner: stream,
            is_blocked: false,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns its descriptor and closes it when it is dropped. The borrow of
        // `self` ends before that.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }

    /// Receives the available bytes, without a copy. `None`: nothing is available now, so glommio
    /// has to wait.
    fn try_recv(&self, cursor: &mut ReadBufCursor<'_>) -> Option<io::Result<()>> {
        loop {
            // SAFETY: recv writes to this memory or leaves it as it is, so nothing in it becomes
            // uninitialized.
            let spare = unsafe { cursor.as_mut() };
            match net::recv(self.fd(), spare, RecvFlags::DONTWAIT) {
                Ok(((received, _), _)) => {
                    let n = received.len();
                    // SAFETY: recv has initialized the first `n` bytes.
                    unsafe { cursor.advance(n) };
                    return Some(Ok(()));
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return None,
                Err(error) => return Some(Err(error.into())),
            }
        }
    }

    fn send(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
        let total = bufs
            .iter()
            .fold(0, |sum: usize, buf| sum.saturating_add(buf.len()));
        let sent = match bufs {
            [buf] => net::send(self.fd(), buf, FLAGS),
            _ if total <= MAX_COPIED => with_scratch(|scratch| {
                let mut end = 0;
                for buf in bufs {
                    scratch[end..end + buf.len()].copy_from_slice(buf);
                    end += buf.len();
                }
                net::send(self.fd(), &scratch[..end], FLAGS)
            }),
            _ => net::sendmsg(self.fd(), bufs, &mut SendAncillaryBuffer::default(), FLAGS),
        };
        Ok(sent?)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = self.poll_try_send(cx, bufs);
        let was_blocked = mem::replace(&mut self.is_blocked, polled.is_pending());
        if was_blocked && polled.is_ready() {
            // glommio forgets the waker if its own write succeeds. hyper may still rely on the wake
            // that the pending write promised.
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn poll_try_send(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = bufs.iter().find(|buf| !buf.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        loop {
            match self.send(bufs) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                sent => return Poll::Ready(sent),
            }
        }
        // glommio tries to write as well, before it waits.
        retry_interrupted(|| Pin::new(&mut self.inner).poll_write(cx, first))
    }
}

fn retry_interrupted<T>(mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    loop {
        match poll() {
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

impl LocalStream for Stream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // recv(2) of zero bytes also fails with EAGAIN when nothing is available. While glommio
        // waits, it does not even call recv.
        retry_interrupted(|| Pin::new(&mut self.inner).poll_read(cx, &mut [])).map_ok(drop)
    }

    fn peer_state(&mut self) -> PeerState {
        socket::peer_state(self.fd())
    }

    fn reset(&mut self) {
        socket::reset_at_close(self.fd());
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if cursor.remaining() > MAX_SCRATCH_READ
            && let Some(received) = self.try_recv(&mut cursor)
        {
            return Poll::Ready(received);
        }
        let space = cursor.remaining().min(MAX_SCRATCH_READ);
        if space == 0 {
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let scratch = &mut scratch[..space];
            retry_interrupted(|| Pin::new(&mut self.inner).poll_read(cx, scratch))
                .map_ok(|n| cursor.put_slice(&scratch[..n]))
        })
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match net::shutdown(self.fd(), Shutdown::Write) {
            // The peer has reset the connection, so there is nothing to shut down.
            Err(Errno::NOTCONN) => Poll::Ready(Ok(())),
            shut => Poll::Ready(Ok(shut?)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bufs)
    }
}
