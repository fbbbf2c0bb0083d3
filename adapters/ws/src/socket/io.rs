//! The bytes of a WebSocket, with its deadline and its drain.
use crate::protocol::Side;
use anyport_core::{ConnInfo, protocol::Upgraded, transport::Drain};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

#[cfg(feature = "client")]
pub(crate) use client::ClientStream;

/// The bytes of a WebSocket. Without the feature `client`, this is the server's [`Upgraded`] alone.
pub(crate) enum Io {
    Server(Upgraded),
    #[cfg(feature = "client")]
    Client(Box<ClientStream>),
}

/// Calls a method of whichever stream this is.
macro_rules! either {
    ($io:expr, $stream:ident => $call:expr) => {
        match $io {
            Io::Server($stream) => $call,
            #[cfg(feature = "client")]
            Io::Client($stream) => $call,
        }
    };
}

impl Io {
    pub(super) fn side(&self) -> Side {
        match self {
            Self::Server(_) => Side::Server,
            #[cfg(feature = "client")]
            Self::Client(_) => Side::Client,
        }
    }

    pub(super) fn info(&self) -> &ConnInfo {
        either!(self, stream => stream.info())
    }

    pub(super) fn drain(&self) -> Drain {
        self.info().drain()
    }

    /// Ready once the server drains. A client's connection does not belong to a server.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Server(upgraded) => upgraded.poll_drain(cx),
            #[cfg(feature = "client")]
            Self::Client(_) => Poll::Pending,
        }
    }

    pub(super) fn now(&self) -> Instant {
        either!(self, stream => stream.now())
    }

    pub(super) fn set_deadline(&mut self, after: Option<Duration>) {
        either!(self, stream => stream.set_deadline(after));
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, stream => stream.poll_deadline(cx))
    }

    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_readable(cx))
    }
}

impl Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(&mut *self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl Write for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut *self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, stream => stream.is_write_vectored())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut *self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }
}

#[cfg(feature = "client")]
mod client {
    use anyport_core::{ConnInfo, Connection, runtime::SharedTimer, transport::delegate_write};
    use bytes::{Buf, Bytes};
    use hyper::rt::{Read, ReadBufCursor, Sleep};
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll, ready},
        time::{Duration, Instant},
    };

    /// A client's connection, with a timer of its own.
    pub(crate) struct ClientStream {
        connection: Box<dyn Connection>,
        /// Bytes that came with the response.
        unread: Bytes,
        timer: SharedTimer,
        deadline: Option<Pin<Box<dyn Sleep>>>,
    }

    /// The methods are not inlined, so that their code does not displace that of a server.
    impl ClientStream {
        pub(crate) fn new(
            connection: Box<dyn Connection>,
            unread: Bytes,
            timer: SharedTimer,
        ) -> Self {
            Self {
                connection,
                unread,
                timer,
                deadline: None,
            }
        }

        pub(super) fn info(&self) -> &ConnInfo {
            self.connection.info()
        }

        pub(super) fn now(&self) -> Instant {
            self.timer.now()
        }

        #[inline(never)]
        pub(super) fn set_deadline(&mut self, after: Option<Duration>) {
            self.deadline = after.map(|after| self.timer.sleep(after));
        }

        #[inline(never)]
        pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let Some(deadline) = &mut self.deadline else {
                return Poll::Pending;
            };
            ready!(deadline.as_mut().poll(cx));
            self.deadline = None;
            Poll::Ready(())
        }

        #[inline(never)]
        pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match self.unread.is_empty() {
                true => Pin::new(&mut *self.connection).poll_readable(cx),
                false => Poll::Ready(Ok(())),
            }
        }
    }

    impl Read for ClientStream {
        #[inline(never)]
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buf: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if self.unread.is_empty() {
                return Pin::new(&mut *self.connection).poll_read(cx, buf);
            }
            let n = self.unread.len().min(buf.remaining());
            buf.put_slice(&self.unread[..n]);
            self.unread.advance(n);
            Poll::Ready(Ok(()))
        }
    }

    delegate_write!(impl for ClientStream => connection);
}
