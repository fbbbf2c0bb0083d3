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

/// An established byte stream with its [`ConnInfo`].
///
/// It implements hyper's [`Read`] and [`Write`]. `hyper_util::rt::TokioIo` implements both for any
/// tokio stream. Most transports use the ready-made [`Conn`].
///
/// # Contract
///
/// - **Wakers**: after a poll that returns `Pending`, the waker of its *latest* call is woken as
///   soon as another poll would make progress. Reading and writing have one waker each, and
///   different tasks may poll the two halves.
/// - **No byte is lost**: dropping the future of a pending read or write loses no received byte,
///   and no byte that `poll_write` accepted.
/// - **`poll_flush`** is ready when every accepted byte has left this process, or will leave it
///   without further polls.
/// - **`poll_shutdown`** flushes and then ends the sending half. Reading continues until the peer
///   ends its half (half-close).
/// - **Vectored writes**: a stream that returns `true` from
///   [`is_write_vectored`](Write::is_write_vectored) writes several slices at the cost of one, and
///   counts only the bytes that it took. A wrapper forwards both methods.
/// - **`Send`** is required because hyper boxes an upgraded stream as `Send`. Only an app moves it
///   to another thread. A poll may come from a thread without the worker's runtime, so a stream
///   creates its timers on the worker, such as in the handshake.
///
/// # Errors
///
/// An error ends this connection and nothing else. It is never logged above DEBUG, because a peer
/// can cause it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a byte stream",
    label = "this needs a `Connection`",
    note = "a transport that wraps any other needs an inner transport of byte streams: ask for `T: ByteTransport` instead of `T: Transport`, and for `L: ByteListener` instead of `L: Listener`"
)]
pub trait Connection: Read + Write + Unpin + Send + 'static {
    /// The facts about the connection.
    fn info(&self) -> &ConnInfo;

    /// The facts about the connection, mutable: for a wrapper whose handshake adds some.
    ///
    /// The default is `None`: then the wrapper keeps a copy of the facts, an allocation of 128
    /// bytes.
    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        None
    }

    /// Ready when a read would make progress: bytes, the end of the stream, or an error.
    ///
    /// While a connection waits for its first byte or, in HTTP/1, for its next request, the server
    /// polls only this method. A stream needs no buffer while this method is pending.
    ///
    /// While an HTTP/1 request is in flight, the server calls it within `poll_flush` and
    /// `poll_write` and reads if it is ready, to detect a disconnect. It uses the waker of reading,
    /// may be spuriously ready, and never consumes a byte. A stream that holds bytes already
    /// (decrypted or put back) is ready.
    ///
    /// The default is always ready, so the server reads at once. That suits a stream without
    /// buffers of its own.
    ///
    /// # Errors
    ///
    /// As with a read, an error ends the connection.
    fn poll_readable(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The state of the peer according to the system, without a read.
    ///
    /// The server calls it about once a second while a request is in flight and unread bytes of the
    /// peer hide a reset from [`poll_readable`](Self::poll_readable). It must not block. Sockets
    /// use [`socket::peer_state`](crate::socket::peer_state), and a wrapper forwards it. With the
    /// default, [`PeerState::Unknown`], the server detects the reset at the next read or write.
    fn peer_state(&mut self) -> PeerState {
        PeerState::Unknown
    }

    /// Writes as much as the system accepts at once, even if the runtime does not report the stream
    /// as writable. Pending if the system accepts nothing. `bufs` is empty while a flush is
    /// pending: then only bytes that the stream holds are sent.
    ///
    /// A kernel reports a socket as writable only when a large part of its buffer is free, so a
    /// slow reader looks stalled. While a write is pending, the server calls this method about
    /// sixteen times per [`Timeouts::write_stall`](crate::Timeouts), and accepted bytes count as
    /// progress. Sockets use [`socket::try_send`](crate::socket::try_send), and a wrapper forwards
    /// it. The default is pending.
    ///
    /// # Errors
    ///
    /// As with a write, an error ends the connection.
    fn poll_retry_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    /// The number of bytes that have left this stream, for a stream that buffers written bytes. TLS
    /// is an example.
    ///
    /// The server compares it with the previous value after each [retry](Self::poll_retry_write): a
    /// change is progress. The default is `None`: then a successful write is progress.
    fn bytes_sent(&self) -> Option<u64> {
        None
    }

    /// Makes the connection end with a reset (TCP RST) when it is dropped. The peer gets no
    /// `close_notify`, and unsent bytes are discarded.
    ///
    /// The server calls it right before it drops a connection in the middle of a response whose end
    /// is the end of the connection (HTTP/1.0). Without the reset, the peer would take the
    /// truncated response as complete. It must not block. TCP uses
    /// [`socket::reset_at_close`](crate::socket::reset_at_close), and a wrapper forwards it. The
    /// default does nothing: the connection is closed gracefully.
    fn reset(&mut self) {}

    /// Called once, right before the server drops the connection, on any thread.
    ///
    /// The connection counts against the limits until the [`Permit`] is dropped. A stream whose
    /// descriptor or buffers outlive it keeps the permit that long: an io_uring operation holds
    /// both until the kernel has finished the operation. Such a stream sends accepted bytes only if
    /// [`must_flush`](Permit::must_flush) is true, and only within
    /// [`write_stall`](Permit::write_stall). A wrapper forwards this method. The default drops the
    /// permit.
    fn release(self: Pin<&mut Self>, permit: Permit) {
        drop(permit);
    }
}

/// A connection of any kind: the part that the server needs to count, observe and close it.
///
/// Every [`Connection`] implements it. A connection that is not one byte stream, such as a QUIC
/// connection, implements it directly, and [`HttpConnection`](crate::protocol::HttpConnection) if
/// HTTP is served over it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a connection",
    label = "neither a byte stream (`Connection`) nor another kind of connection (`Connected`)",
    note = "a byte stream with a `ConnInfo` is one: `Conn::new(TokioIo::new(stream), info)`",
    note = "a transport that wraps any other needs an inner transport of byte streams: ask for `T: ByteTransport` instead of `T: Transport`, and for `L: ByteListener` instead of `L: Listener`"
)]
pub trait Connected: Unpin + Send + 'static {
    /// The facts about the connection.
    fn conn_info(&self) -> &ConnInfo;

    /// Called once, right before the server drops the connection, on any thread. It must not block.
    ///
    /// The connection counts against the limits until the [`Permit`] is dropped. The default drops
    /// it.
    fn close(self: Pin<&mut Self>, how: Close, permit: Permit) {
        let _ = how;
        drop(permit);
    }
}

/// How the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Close {
    /// The connection has ended already. Nothing more is sent.
    Silent,
    /// Gracefully: the end of the stream is sent (TCP: FIN, TLS: `close_notify`).
    Graceful,
    /// With a reset (TCP RST), because the peer must not take a truncated response as complete.
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
            // Not awaited: a full send buffer must not delay the close.
            Close::Graceful => {
                let _ = self
                    .as_mut()
                    .poll_shutdown(&mut Context::from_waker(Waker::noop()));
            }
            Close::Reset => self.reset(),
        }
        self.release(permit);
    }
}

/// The state of a peer according to the system, without a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// The system does not report it.
    #[default]
    Unknown,
    /// The peer may send more, or unread bytes remain.
    Open,
    /// The peer has shut down its sending half (FIN), and no unread byte remains.
    HalfClosed,
    /// The connection is closed in both directions: it was reset or, on a Unix socket, closed.
    Closed,
}

/// A ready-made [`Connection`]: any hyper I/O object with its [`ConnInfo`].
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
    /// Combines a stream and its facts.
    pub fn new(io: I, info: ConnInfo) -> Self {
        Self { io, info }
    }

    /// A reference to the stream.
    pub fn inner(&self) -> &I {
        &self.io
    }

    /// The stream.
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

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        Some(&mut self.info)
    }
}

/// Forwards hyper's `Read` and `Write` to a field, vectored writes included. A wrapper without
/// vectored writes compiles, but is slow.
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

/// The writing half of [`delegate_io`], for a wrapper with a `Read` of its own.
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
