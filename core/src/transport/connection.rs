//! The contract of an established byte stream, and `Conn`, the implementation for streams without
//! special needs.
use super::{ConnInfo, Permit};
use hyper::rt::{Read, Write};
use std::{
    fmt, io,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// An established byte stream and what is known about it.
///
/// It's hyper's [`Read`] and [`Write`], so any tokio stream becomes one by
/// `hyper_util::rt::TokioIo`, and a [`ConnInfo`]. Most transports use the ready-made [`Conn`].
///
/// # Contract
///
/// - **Wakers**: a poll that returns `Pending` has arranged for the waker of its *latest* call to
///   be woken. Reading and writing have one waker each; the two halves may be polled by different
///   tasks.
/// - **No byte is lost**: dropping the future of a pending read or write loses nothing that the
///   peer sent and nothing that `poll_write` said it took.
/// - **`poll_flush`** is ready once everything that `poll_write` took has left this process, or
///   will without being polled. **`poll_shutdown`** flushes, then ends the sending half; reading
///   goes on until the peer ends its own (half-close).
/// - **Vectored writes**: a stream that says [`is_write_vectored`](Write::is_write_vectored) writes
///   several slices at once at the price of one. A wrapper forwards both methods.
/// - **`Send`** is asked for because hyper boxes an upgraded stream as `Send`. It's moved to
///   another thread only by an app that does so with an upgraded stream.
///
/// # Errors
///
/// An error ends this connection and nothing else; it's never logged above DEBUG, since a peer can
/// cause it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a byte stream",
    label = "this needs a `Connection`",
    note = "a transport that wraps any other needs bytes below it: ask for `T: ByteTransport` instead of `T: Transport`, and for `L: ByteListener` instead of `L: Listener`"
)]
pub trait Connection: Read + Write + Unpin + Send + 'static {
    /// What is known about the connection.
    fn info(&self) -> &ConnInfo;

    /// Ready when a read would make progress: there are bytes, the end, or an error to be had.
    ///
    /// While a connection waits for its first byte or, in HTTP/1, for its next request, the server
    /// waits on this alone: a stream may do without buffers whenever it's pending. While an HTTP/1
    /// request is answered, it's asked from within `poll_flush` and `poll_write`, and a read
    /// follows if it's ready: so the server learns that the peer left. It has the waker of reading.
    /// It may be spuriously ready, and it never consumes a byte. A stream that already holds bytes
    /// (decrypted, put back) is ready. The default is always ready: the server then reads at once,
    /// which is right for a stream without buffers of its own.
    ///
    /// # Errors
    ///
    /// An error ends the connection, as one of a read would.
    fn poll_readable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// What the system knows about the peer, without a read.
    ///
    /// The server asks about once a second while a request is in flight and the peer's bytes wait
    /// unread: they hide a reset from [`poll_readable`](Self::poll_readable). It must not block.
    /// Sockets answer by [`socket::peer_state`](crate::socket::peer_state); a wrapper asks the
    /// stream below. The default is [`PeerState::Unknown`]: such a peer's reset is noticed at the
    /// next read or write.
    fn peer_state(&mut self) -> PeerState {
        PeerState::Unknown
    }

    /// Writes what the system takes at once, although the runtime waits for the stream to become
    /// writable. Pending, if that is nothing; `bufs` is empty where a flush is pending, and nothing
    /// but what the stream itself holds is to be sent.
    ///
    /// A kernel calls a socket writable only when a good part of its buffer is free, so a peer that
    /// reads slowly looks as if it read nothing. While a write is pending, the server tries this
    /// some sixteen times in [`Timeouts::write_stall`](crate::Timeouts): what is taken then is
    /// progress, and the peer is not cut off. Sockets do it by
    /// [`socket::try_send`](crate::socket::try_send); a wrapper asks the stream below. The default
    /// is pending.
    ///
    /// # Errors
    ///
    /// An error ends the connection, as one of a write would.
    fn poll_retry_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    /// How many bytes have left this stream so far, for a stream that buffers what is written to
    /// it, as encryption does.
    ///
    /// The server compares it with the value before, whenever it has
    /// [retried](Self::poll_retry_write) a write: a change is progress. The default is `None`: a
    /// write that succeeds is progress.
    fn bytes_sent(&self) -> Option<u64> {
        None
    }

    /// Makes the connection end with a reset when it's dropped: the peer gets no goodbye (TLS: no
    /// `close_notify`), and bytes that weren't sent are discarded.
    ///
    /// The server calls it right before it drops a connection in the middle of a response whose end
    /// is that of the connection (HTTP/1.0): the peer would take the part for the whole. It must
    /// not block. TCP does it by [`socket::reset_at_close`](crate::socket::reset_at_close); a
    /// wrapper asks the stream below. The default does nothing: the peer sees an orderly end.
    fn reset(&mut self) {}

    /// Called once, right before the server drops the connection, on whichever thread that happens.
    ///
    /// The connection counts against the limits until the [`Permit`] is dropped. A stream whose
    /// descriptor or buffers outlive it (an operation of io_uring holds both until the kernel is
    /// done with them) keeps the permit for as long. It sends what its writes took only if the peer
    /// [is owed](Permit::is_owed) that, and for no longer than
    /// [`write_stall`](Permit::write_stall). A wrapper forwards it. The default drops the permit.
    fn release(self: Pin<&mut Self>, permit: Permit) {
        drop(permit);
    }
}

/// A connection of any kind: what the server needs to count it, to observe it and to end it.
///
/// Every [`Connection`] is one, since every byte stream is. A connection that is not one byte
/// stream, such as QUIC's, implements it by itself, and
/// [`HttpConnection`](crate::http::HttpConnection) if HTTP is to be served over it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection",
    label = "neither a byte stream (`Connection`) nor a connection of another kind (`Connected`)",
    note = "a byte stream with a `ConnInfo` is one: `Conn::new(TokioIo::new(stream), info)`",
    note = "a transport that wraps any other needs bytes below it: ask for `T: ByteTransport` instead of `T: Transport`, and for `L: ByteListener` instead of `L: Listener`"
)]
pub trait Connected: Unpin + Send + 'static {
    /// What is known about the connection.
    fn conn_info(&self) -> &ConnInfo;

    /// Called once, right before the server drops the connection, on whichever thread that happens.
    /// It must not block.
    ///
    /// The connection counts against the limits until the [`Permit`] is dropped. The default drops
    /// it.
    fn close(self: Pin<&mut Self>, how: Close, permit: Permit) {
        let _ = how;
        drop(permit);
    }
}

/// How the server ends a connection that it drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The connection is over already, or its protocol has ended it. Nothing more is sent.
    Silent,
    /// In order: the peer is told that nothing more comes (TCP: FIN, TLS: `close_notify`).
    Orderly,
    /// With a reset: the peer must not take what it got for the whole.
    Reset,
}

#[diagnostic::do_not_recommend]
impl<C: Connection> Connected for C {
    fn conn_info(&self) -> &ConnInfo {
        self.info()
    }

    fn close(mut self: Pin<&mut Self>, how: Close, permit: Permit) {
        match how {
            Close::Silent => {}
            // A peer that doesn't even let that through isn't waited for.
            Close::Orderly => {
                let _ = self
                    .as_mut()
                    .poll_shutdown(&mut Context::from_waker(Waker::noop()));
            }
            Close::Reset => self.reset(),
        }
        self.release(permit);
    }
}

/// What the system knows about a peer, without a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// It cannot be told.
    #[default]
    Unknown,
    /// The peer may send more, or bytes of it wait to be read.
    Open,
    /// The peer has shut down its sending half (FIN), and nothing of it waits to be read.
    HalfClosed,
    /// The connection is gone in both directions: it was reset or, on a Unix socket, closed.
    Closed,
}

/// The ready-made [`Connection`]: any hyper I/O object with its [`ConnInfo`].
///
/// ```
/// # use anyport_core::{ConnInfo, Connection, transport::{Conn, Endpoint}};
/// # fn wrap<S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static>(stream: S) -> impl Connection {
/// Conn::new(stream, ConnInfo::new(Endpoint::custom("pipe:7"), Endpoint::custom("pipe")))
/// # }
/// ```
pub struct Conn<I> {
    io: I,
    info: ConnInfo,
}

impl<I> Conn<I> {
    /// Joins a stream and what is known about it.
    pub fn new(io: I, info: ConnInfo) -> Self {
        Self { io, info }
    }

    /// The stream itself, to ask it something.
    pub fn inner(&self) -> &I {
        &self.io
    }

    /// The stream itself.
    pub fn into_inner(self) -> I {
        self.io
    }
}

impl<I> fmt::Debug for Conn<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conn").field(&self.info).finish()
    }
}

impl<I: Read + Write + Unpin + Send + 'static> Connection for Conn<I> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }
}

/// Forwards hyper's `Read` and `Write` to a field, vectored writes included (a wrapper that forgets
/// them compiles and is slow).
#[doc(hidden)]
#[macro_export]
macro_rules! delegate_io {
    (impl$(<$param:ident: [$($bound:tt)+]>)? for $wrapper:ty => $field:ident) => {
        impl$(<$param: $($bound)+>)? $crate::__private::Read for $wrapper {
            fn poll_read(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: $crate::__private::ReadBufCursor<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                $crate::__private::Read::poll_read(::std::pin::Pin::new(&mut self.$field), cx, buf)
            }
        }

        $crate::delegate_write!(impl$(<$param: [$($bound)+]>)? for $wrapper => $field);
    };
}

/// The writing half of [`delegate_io`], for a wrapper that reads in its own way.
#[doc(hidden)]
#[macro_export]
macro_rules! delegate_write {
    (impl$(<$param:ident: [$($bound:tt)+]>)? for $wrapper:ty => $field:ident) => {
        impl$(<$param: $($bound)+>)? $crate::__private::Write for $wrapper {
            fn poll_write(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                $crate::__private::Write::poll_write(::std::pin::Pin::new(&mut self.$field), cx, buf)
            }

            fn poll_flush(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                $crate::__private::Write::poll_flush(::std::pin::Pin::new(&mut self.$field), cx)
            }

            fn poll_shutdown(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                $crate::__private::Write::poll_shutdown(::std::pin::Pin::new(&mut self.$field), cx)
            }

            fn is_write_vectored(&self) -> bool {
                $crate::__private::Write::is_write_vectored(&self.$field)
            }

            fn poll_write_vectored(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                $crate::__private::Write::poll_write_vectored(::std::pin::Pin::new(&mut self.$field), cx, bufs)
            }
        }
    };
}

pub use {delegate_io, delegate_write};

delegate_io!(impl<I: [Read + Write + Unpin]> for Conn<I> => io);
