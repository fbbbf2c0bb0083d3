//! A stream that stays on its thread, with a handle that works on any thread.
mod local_stream;
mod relay;
mod remote;
#[cfg(test)]
mod tests;

pub use local_stream::LocalStream;

use super::{PeerState, Permit};
use crate::runtime::ThreadBound;
use hyper::rt::{Read, ReadBufCursor, Write};
use remote::Remote;
use std::{
    cell::RefCell,
    fmt,
    io::{self, IoSlice},
    mem,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// A stream that stays on the thread that made it, and can be used on any thread.
///
/// On its own thread, calls go to the stream directly. The first poll on another thread, such as
/// one in `tokio::spawn`, spawns a task on the stream's own thread. From then on, the task relays
/// the bytes through a pipe of 32 KiB in each direction.
///
/// The relay keeps the stream's properties: no byte is lost, a slow side causes backpressure, each
/// direction ends separately, and errors are passed on unchanged. A flush is ready at once, because
/// the relay sends and flushes by itself. A drain waits for the relay as it does for the stream.
///
/// [`runtime::local`](crate::runtime::local) must run the worker's tasks. When the worker ends,
/// reads and writes on other threads fail with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
pub struct ThreadBoundStream<S>(Access<S>);

enum Access<S> {
    Local(ThreadBound<S>),
    CrossThread(Box<Remote>),
}

/// The stream as accessed on the current thread.
enum Reached<'a, S> {
    Stream(Rc<RefCell<S>>),
    Remote(&'a mut Remote),
}

impl<S: LocalStream> ThreadBoundStream<S> {
    /// Binds the stream to this thread.
    pub fn new(stream: S) -> Self {
        Self(Access::Local(ThreadBound::new(stream)))
    }

    fn reach(&mut self) -> Reached<'_, S> {
        if let Access::Local(bound) = &self.0
            && let Some(stream) = bound.get()
        {
            return Reached::Stream(stream);
        }
        Reached::Remote(self.remote())
    }

    #[cold]
    #[inline(never)]
    fn remote(&mut self) -> &mut Remote {
        if let Access::Local(_) = self.0 {
            let (remote, relay) = Remote::new();
            if let Access::Local(bound) =
                mem::replace(&mut self.0, Access::CrossThread(Box::new(remote)))
            {
                bound.send_to_owner(|stream| relay.spawn(stream));
            }
        }
        match &mut self.0 {
            Access::CrossThread(remote) => remote,
            Access::Local(_) => unreachable!("replaced above"),
        }
    }

    /// Polls the stream itself, or its remote end on another thread.
    #[inline(always)]
    fn poll_with<A, T>(
        &mut self,
        cx: &mut Context<'_>,
        args: A,
        stream: impl FnOnce(Pin<&mut S>, &mut Context<'_>, A) -> Poll<io::Result<T>>,
        remote: impl FnOnce(&mut Remote, &mut Context<'_>, A) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Access::Local(bound) = &self.0
            && let Some(kept) = bound.get()
        {
            return match kept.try_borrow_mut() {
                Ok(mut kept) => stream(Pin::new(&mut kept), cx, args),
                Err(_) => in_use(),
            };
        }
        remote(self.remote(), cx, args)
    }

    /// See [`Connection::poll_readable`](crate::Connection::poll_readable).
    ///
    /// # Errors
    ///
    /// The errors are those of the stream.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            (),
            |mut stream, cx, ()| stream.poll_readable(cx),
            |remote, cx, ()| remote.poll_readable(cx),
        )
    }

    /// See [`Connection::peer_state`](crate::Connection::peer_state). On another thread it is
    /// unknown.
    pub fn peer_state(&mut self) -> PeerState {
        let Access::Local(bound) = &mut self.0 else {
            return PeerState::Unknown;
        };
        bound.with(S::peer_state).unwrap_or_default()
    }

    /// See [`Connection::poll_retry_write`](crate::Connection::poll_retry_write).
    ///
    /// # Errors
    ///
    /// The errors are those of the stream.
    pub fn poll_retry_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(
            cx,
            (),
            |mut stream, cx, ()| stream.poll_retry_write(cx, bufs),
            |_, _, ()| Poll::Pending,
        )
    }

    /// See [`Connection::reset`](crate::Connection::reset).
    pub fn reset(&mut self) {
        match self.reach() {
            Reached::Stream(stream) => {
                let _ = stream.try_borrow_mut().map(|mut stream| stream.reset());
            }
            Reached::Remote(remote) => remote.reset(),
        }
    }

    /// See [`Connection::release`](crate::Connection::release).
    pub fn release(&mut self, permit: Permit) {
        match self.reach() {
            Reached::Stream(stream) => {
                let _ = stream
                    .try_borrow_mut()
                    .map(|mut stream| stream.release(permit));
            }
            Reached::Remote(remote) => remote.release(permit),
        }
    }
}

#[cold]
#[inline(never)]
fn in_use<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::other("this stream is in use already")))
}

impl<S: LocalStream> Read for ThreadBoundStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            buf,
            |stream, cx, buf| stream.poll_read(cx, buf),
            Remote::poll_read,
        )
    }
}

impl<S: LocalStream> Write for ThreadBoundStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(
            cx,
            (),
            |stream, cx, ()| stream.poll_write(cx, buf),
            |remote, cx, ()| remote.poll_write(cx, &[IoSlice::new(buf)]),
        )
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            (),
            |stream, cx, ()| stream.poll_flush(cx),
            |remote, _, ()| remote.poll_flush(),
        )
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            (),
            |stream, cx, ()| stream.poll_shutdown(cx),
            |remote, cx, ()| remote.poll_shutdown(cx),
        )
    }

    /// True: both implementations accept several slices at once.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(
            cx,
            (),
            |stream, cx, ()| stream.poll_write_vectored(cx, bufs),
            |remote, cx, ()| remote.poll_write(cx, bufs),
        )
    }
}

impl<S> fmt::Debug for ThreadBoundStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match &self.0 {
            Access::Local(_) => "local",
            Access::CrossThread(_) => "cross-thread",
        };
        f.debug_tuple("ThreadBoundStream").field(&access).finish()
    }
}
