//! Implements hyper's I/O traits for a stream of glommio.
use anyport_core::{LocalStream, PeerState, socket};
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

/// As much as is read by way of the scratch. Whoever has more room reads a large body.
const READ: usize = 64 * 1024;
/// Up to so many bytes, several slices are cheaper copied than handed over one by one.
const SMALL: usize = 4096;

/// A stream of glommio's: it reads by glommio, which has a look before it waits, and when a read
/// was short, begins to wait at once. What's written, it writes itself, since glommio can't write
/// several slices; glommio waits for room.
pub(crate) struct Stream {
    inner: TcpStream,
    /// The latest write is pending.
    is_blocked: bool,
}

thread_local! {
    /// What's read into, and what slices are put together in: no read of glommio's goes to memory
    /// that nobody has initialized.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the scratch of this thread. It's away meanwhile, so what a waker does when it's dropped
/// may need another one.
fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH
        .take()
        .unwrap_or_else(|| vec![0; READ].into_boxed_slice());
    let result = f(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

impl Stream {
    /// A stream of any family.
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            inner: stream,
            is_blocked: false,
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream owns its descriptor, and closes it when it's dropped; until then it's
        // borrowed here.
        unsafe { BorrowedFd::borrow_raw(self.inner.as_raw_fd()) }
    }

    /// Receives what there is, without a copy. None: there is nothing now, and glommio can wait.
    fn receive_now(&self, cursor: &mut ReadBufCursor<'_>) -> Option<io::Result<()>> {
        loop {
            // SAFETY: nothing of it is made uninitialized: recv writes to it, or leaves it as it
            // is.
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
            _ if total <= SMALL => with_scratch(|scratch| {
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
        let polled = self.send_or_wait(cx, bufs);
        let was_blocked = mem::replace(&mut self.is_blocked, polled.is_pending());
        if was_blocked && polled.is_ready() {
            // glommio waits no longer if it could write in the end, but hyper may still count on
            // the wake that the pending write promised.
            cx.waker().wake_by_ref();
        }
        polled
    }

    fn send_or_wait(
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
        // It tries, too, before it waits.
        uninterrupted(|| Pin::new(&mut self.inner).poll_write(cx, first))
    }
}

fn uninterrupted<T>(mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    loop {
        match poll() {
            Poll::Ready(Err(e)) if e.kind() == io::ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

impl LocalStream for Stream {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // recv(2) of no byte fails with EAGAIN, too, when there's nothing; while glommio waits, it
        // isn't even called.
        uninterrupted(|| Pin::new(&mut self.inner).poll_read(cx, &mut [])).map_ok(drop)
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
        if cursor.remaining() > READ
            && let Some(received) = self.receive_now(&mut cursor)
        {
            return Poll::Ready(received);
        }
        let room = cursor.remaining().min(READ);
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        with_scratch(|scratch| {
            let scratch = &mut scratch[..room];
            uninterrupted(|| Pin::new(&mut self.inner).poll_read(cx, scratch))
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
            // The peer has reset the connection: there's nothing to be ended.
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
