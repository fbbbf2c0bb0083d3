//! A connection around another: [`Intercepted`] forwards every operation that its [`Intercept`]
//! does not change.
use super::{ConnInfo, Connection, PeerState, Permit};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

/// Changes some operations of a connection.
///
/// Each method has the contract of the method with the same name of [`Connection`], [`Read`] or
/// [`Write`], and gets the inner connection as `inner`. **The default of each method forwards**, so
/// implement only those that you change.
/// [`Transport::map_connection`](super::Transport::map_connection) puts it around the connections
/// of a transport.
///
/// # Examples
///
/// A counter of all bytes that a server writes, over any transport:
///
/// ```
/// use anyport_core::{Connection, Transport, transport::{Intercept, Intercepted, Writer}};
/// use std::{
///     io::{self, IoSlice},
///     sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}},
///     task::{Context, Poll},
/// };
///
/// struct Counter(Arc<AtomicU64>);
///
/// impl<C: Connection> Intercept<C> for Counter {
///     fn poll_write(
///         &mut self,
///         inner: Writer<'_, C>,
///         cx: &mut Context<'_>,
///         bufs: &[IoSlice<'_>],
///     ) -> Poll<io::Result<usize>> {
///         let written = inner.poll_write(cx, bufs);
///         if let Poll::Ready(Ok(bytes)) = written {
///             self.0.fetch_add(bytes as u64, Relaxed);
///         }
///         written
///     }
/// }
///
/// # fn f<T: anyport_core::transport::ByteTransport>(transport: T) -> impl Transport {
/// let written = Arc::new(AtomicU64::new(0));
/// transport.map_connection(move |inner| Intercepted::new(inner, Counter(written.clone())))
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not intercept connections of type `{C}`",
    label = "this needs an `Intercept`",
    note = "implement it for every connection: `impl<C: Connection> Intercept<C> for ..`; each method has a default that forwards"
)]
pub trait Intercept<C: Connection>: Unpin + Send + 'static {
    /// [`Connection::info`].
    fn info<'a>(&'a self, inner: &'a C) -> &'a ConnInfo {
        inner.info()
    }

    /// [`Connection::info_mut`]. It must agree with [`info`](Self::info).
    fn info_mut<'a>(&'a mut self, inner: &'a mut C) -> Option<&'a mut ConnInfo> {
        inner.info_mut()
    }

    /// [`Read::poll_read`].
    ///
    /// # Errors
    ///
    /// An error ends the connection.
    #[inline]
    fn poll_read(
        &mut self,
        inner: Pin<&mut C>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        inner.poll_read(cx, buf)
    }

    /// [`Connection::poll_readable`]. If you delay or buffer the bytes that are read, it must agree
    /// with [`poll_read`](Self::poll_read).
    ///
    /// # Errors
    ///
    /// An error ends the connection.
    #[inline]
    fn poll_readable(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner.poll_readable(cx)
    }

    /// All three ways of writing: [`Write::poll_write`] has one buffer,
    /// [`Write::poll_write_vectored`] has several, and [`Connection::poll_retry_write`] may have
    /// none. [`Writer::poll_write`] continues in the same way.
    ///
    /// # Errors
    ///
    /// An error ends the connection.
    #[inline]
    fn poll_write(
        &mut self,
        inner: Writer<'_, C>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner.poll_write(cx, bufs)
    }

    /// [`Write::poll_flush`].
    ///
    /// # Errors
    ///
    /// An error ends the connection.
    #[inline]
    fn poll_flush(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner.poll_flush(cx)
    }

    /// [`Write::poll_shutdown`].
    ///
    /// # Errors
    ///
    /// An error ends the connection.
    fn poll_shutdown(&mut self, inner: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner.poll_shutdown(cx)
    }

    /// [`Write::is_write_vectored`].
    #[inline]
    fn is_write_vectored(&self, inner: &C) -> bool {
        inner.is_write_vectored()
    }

    /// [`Connection::peer_state`].
    fn peer_state(&mut self, inner: &mut C) -> PeerState {
        inner.peer_state()
    }

    /// [`Connection::bytes_sent`].
    fn bytes_sent(&self, inner: &C) -> Option<u64> {
        inner.bytes_sent()
    }

    /// [`Connection::reset`].
    fn reset(&mut self, inner: &mut C) {
        inner.reset();
    }

    /// [`Connection::release`].
    fn release(&mut self, inner: Pin<&mut C>, permit: Permit) {
        inner.release(permit);
    }
}

/// Writes to the inner connection in the same way as the server writes to the wrapper.
pub struct Writer<'a, C> {
    inner: Pin<&'a mut C>,
    is_retry: bool,
}

impl<C: Connection> Writer<'_, C> {
    /// Writes these buffers, which may differ from those of the server.
    ///
    /// # Errors
    ///
    /// Those of the inner connection.
    #[inline]
    pub fn poll_write(self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match bufs {
            _ if self.is_retry => self.inner.poll_retry_write(cx, bufs),
            [buf] => self.inner.poll_write(cx, buf),
            _ => self.inner.poll_write_vectored(cx, bufs),
        }
    }
}

impl<C> fmt::Debug for Writer<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("is_retry", &self.is_retry)
            .finish_non_exhaustive()
    }
}

/// A connection with an [`Intercept`].
pub struct Intercepted<C, I> {
    inner: C,
    intercept: I,
}

impl<C: Connection, I: Intercept<C>> Intercepted<C, I> {
    /// Changes what `intercept` implements, and forwards the rest to `inner`.
    pub fn new(inner: C, intercept: I) -> Self {
        Self { inner, intercept }
    }
}

impl<C, I> Intercepted<C, I> {
    /// A reference to the inner connection.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// A reference to the intercept.
    pub fn intercept(&self) -> &I {
        &self.intercept
    }
}

impl<C: Connection, I: Intercept<C>> Intercepted<C, I> {
    fn parts(self: Pin<&mut Self>) -> (&mut I, Pin<&mut C>) {
        let me = self.get_mut();
        (&mut me.intercept, Pin::new(&mut me.inner))
    }

    fn write_parts(self: Pin<&mut Self>, is_retry: bool) -> (&mut I, Writer<'_, C>) {
        let (intercept, inner) = self.parts();
        (intercept, Writer { inner, is_retry })
    }
}

impl<C: Connection, I: Intercept<C>> Connection for Intercepted<C, I> {
    fn info(&self) -> &ConnInfo {
        self.intercept.info(&self.inner)
    }

    fn info_mut(&mut self) -> Option<&mut ConnInfo> {
        self.intercept.info_mut(&mut self.inner)
    }

    #[inline]
    fn poll_readable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (intercept, inner) = self.parts();
        intercept.poll_readable(inner, cx)
    }

    fn peer_state(&mut self) -> PeerState {
        self.intercept.peer_state(&mut self.inner)
    }

    fn poll_retry_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (intercept, writer) = self.write_parts(true);
        intercept.poll_write(writer, cx, bufs)
    }

    fn bytes_sent(&self) -> Option<u64> {
        self.intercept.bytes_sent(&self.inner)
    }

    fn reset(&mut self) {
        self.intercept.reset(&mut self.inner);
    }

    fn release(self: Pin<&mut Self>, permit: Permit) {
        let (intercept, inner) = self.parts();
        intercept.release(inner, permit);
    }
}

impl<C: Connection, I: Intercept<C>> Read for Intercepted<C, I> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let (intercept, inner) = self.parts();
        intercept.poll_read(inner, cx, buf)
    }
}

impl<C: Connection, I: Intercept<C>> Write for Intercepted<C, I> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (intercept, writer) = self.write_parts(false);
        intercept.poll_write(writer, cx, &[IoSlice::new(buf)])
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (intercept, inner) = self.parts();
        intercept.poll_flush(inner, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (intercept, inner) = self.parts();
        intercept.poll_shutdown(inner, cx)
    }

    #[inline]
    fn is_write_vectored(&self) -> bool {
        self.intercept.is_write_vectored(&self.inner)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let (intercept, writer) = self.write_parts(false);
        intercept.poll_write(writer, cx, bufs)
    }
}

impl<C: fmt::Debug, I> fmt::Debug for Intercepted<C, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Intercepted").field(&self.inner).finish()
    }
}
