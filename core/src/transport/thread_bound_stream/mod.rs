//! A stream that stays on its thread, with a handle that works on any thread.
mod relay;
mod remote;
#[cfg(test)]
mod tests;

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

/// A stream of a runtime with a thread per core, which need not be `Send`: what a
/// [`ThreadBoundStream`] keeps.
///
/// Its methods are those of [`Connection`](crate::Connection), which a transport's connection
/// forwards to it; so are the contract and the defaults.
pub trait LocalStream: Read + Write + Unpin + 'static {
    /// As [`Connection::poll_readable`](crate::Connection::poll_readable).
    ///
    /// # Errors
    ///
    /// An error ends the connection, as one of a read would.
    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// As [`Connection::peer_state`](crate::Connection::peer_state).
    fn peer_state(&mut self) -> PeerState {
        PeerState::Unknown
    }

    /// As [`Connection::poll_retry_write`](crate::Connection::poll_retry_write).
    ///
    /// # Errors
    ///
    /// An error ends the connection, as one of a write would.
    fn poll_retry_write(
        &mut self,
        _cx: &mut Context<'_>,
        _bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    /// As [`Connection::reset`](crate::Connection::reset).
    fn reset(&mut self) {}

    /// As [`Connection::release`](crate::Connection::release); always on the stream's own thread.
    fn release(&mut self, permit: Permit) {
        drop(permit);
    }
}

/// A stream that stays on the thread that made it, and can be used on any.
///
/// At home it's the stream itself. When it's first polled on another thread, which is what an app
/// does that hands an upgraded connection to `tokio::spawn`, a task at home takes the stream over
/// and relays its bytes, through a pipe of 32 KiB in each direction. What holds at home holds
/// there: nothing is lost, whoever is slow is waited for, an end in one direction leaves the other
/// as it is, and errors arrive as they are. A flush is ready at once, since the relay sends and
/// flushes without being asked; a drain waits for that, as it does at home. From then on, the relay
/// stays.
///
/// That task needs [`runtime::local`](crate::runtime::local), which runs it. When its worker ends,
/// reads and writes on other threads fail with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
pub struct ThreadBoundStream<S>(Place<S>);

enum Place<S> {
    Home(ThreadBound<S>),
    Away(Box<Remote>),
}

/// The stream as it is to be used on this thread.
enum Reached<'a, S> {
    Stream(Rc<RefCell<S>>),
    Remote(&'a mut Remote),
}

impl<S: LocalStream> ThreadBoundStream<S> {
    /// Keeps the stream on this thread.
    pub fn new(stream: S) -> Self {
        Self(Place::Home(ThreadBound::new(stream)))
    }

    fn reach(&mut self) -> Reached<'_, S> {
        if let Place::Home(bound) = &self.0
            && let Some(stream) = bound.get()
        {
            return Reached::Stream(stream);
        }
        Reached::Remote(self.remote())
    }

    #[cold]
    #[inline(never)]
    fn remote(&mut self) -> &mut Remote {
        if let Place::Home(_) = self.0 {
            let (remote, relay) = Remote::new();
            if let Place::Home(bound) = mem::replace(&mut self.0, Place::Away(Box::new(remote))) {
                bound.send_home(|stream| relay.begin(stream));
            }
        }
        match &mut self.0 {
            Place::Away(remote) => remote,
            Place::Home(_) => unreachable!("it has just been sent away"),
        }
    }

    /// Polls the stream itself, or what stands for it here.
    #[inline(always)]
    fn poll_with<A, T>(
        &mut self,
        cx: &mut Context<'_>,
        args: A,
        stream: impl FnOnce(Pin<&mut S>, &mut Context<'_>, A) -> Poll<io::Result<T>>,
        remote: impl FnOnce(&mut Remote, &mut Context<'_>, A) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Place::Home(bound) = &self.0
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
    /// Those of the stream.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_with(
            cx,
            (),
            |mut stream, cx, ()| stream.poll_readable(cx),
            |remote, cx, ()| remote.poll_readable(cx),
        )
    }

    /// See [`Connection::peer_state`](crate::Connection::peer_state). On another thread it can't be
    /// told.
    pub fn peer_state(&mut self) -> PeerState {
        let Place::Home(bound) = &mut self.0 else {
            return PeerState::Unknown;
        };
        bound.with(S::peer_state).unwrap_or_default()
    }

    /// See [`Connection::poll_retry_write`](crate::Connection::poll_retry_write).
    ///
    /// # Errors
    ///
    /// Those of the stream.
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

    /// True: what one of these would do with several slices, it would do with each at a time, too.
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
        let place = match &self.0 {
            Place::Home(_) => "home",
            Place::Away(_) => "away",
        };
        f.debug_tuple("ThreadBoundStream").field(&place).finish()
    }
}
