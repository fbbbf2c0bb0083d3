//! The I/O object of an accepted connection: counted and abortable wherever it goes.
use super::{ConnState, Registered, Stage};
use crate::{ConnInfo, Connection};
use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    fmt, io,
    io::IoSlice,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A connection that the server accepted: the transport's stream, counted until it's dropped.
///
/// It's what a raw handler gets, and what `hyper::upgrade` gives back after an upgrade
/// (`upgraded.downcast::<Accepted<_>>()`). Wherever it goes, it counts against the connection limit, and at the end of a
/// drain's grace its reads and writes fail with [`io::ErrorKind::ConnectionAborted`].
///
/// For code that wants tokio's I/O traits, wrap it in `hyper_util::rt::TokioIo`.
pub struct Accepted<C> {
    io: C,
    info: ConnInfo,
    /// Read before it was known who wants it; empty soon and forever after.
    unread: Bytes,
    state: Arc<ConnState>,
    reader: Registered,
    writer: Registered,
}

impl<C: Connection> Accepted<C> {
    pub(super) fn new(io: C, state: Arc<ConnState>) -> Self {
        let mut info = io.info().clone();
        info.id = state.id;
        info.worker = state.worker.worker.index;
        info.accepted_at = state.accepted_at;
        Self {
            io,
            info,
            unread: Bytes::new(),
            state,
            reader: Registered::default(),
            writer: Registered::default(),
        }
    }

    /// The transport's own stream. To take it out would take it out of the count; so it's lent.
    pub fn io(&self) -> &C {
        &self.io
    }

    /// Whether the server is draining: the peer should be told to go elsewhere, as far as what's spoken knows a word for it.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != Stage::Serving
    }

    /// Ready once the server drains; for a raw handler that waits for its peer meanwhile. One at a time: of several, only the one that was
    /// polled last is woken.
    ///
    /// ```
    /// # use anyport_core::{Accepted, Connection};
    /// # async fn f<C: Connection>(connection: Accepted<C>, talk: impl Future<Output = ()>) {
    /// let drain = connection.drain();
    /// tokio::select! {
    ///     () = talk => {}
    ///     () = drain => { /* say goodbye */ }
    /// }
    /// # }
    /// ```
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        // Weak: waiting for the drain doesn't keep the connection open.
        let state = Arc::downgrade(&self.state);
        let mut registered = Registered::default();
        std::future::poll_fn(move |cx| {
            let Some(state) = state.upgrade() else {
                return Poll::Pending;
            };
            let _ = registered.refresh(cx, &state.drain);
            match state.stage() {
                Stage::Serving => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
    }

    /// Puts bytes back, to be read again first.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    fn check(&self) -> io::Result<()> {
        if self.state.aborting() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has been shut down",
            ));
        }
        Ok(())
    }

    /// `bytes`: how many of them a success was.
    fn write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        self.check()?;
        let polled = write(Pin::new(&mut self.io), cx);
        match &polled {
            Poll::Ready(Ok(done)) => self.state.count_write(bytes(done)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.state.set_blocked(true);
                if self.writer.refresh(cx, &self.state.writer) {
                    self.check()?;
                }
            }
        }
        polled
    }
}

impl<C: Connection> Connection for Accepted<C> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.check()?;
        let me = &mut *self;
        let polled = Pin::new(&mut me.io).poll_readable(cx);
        if polled.is_pending() && me.reader.refresh(cx, &me.state.reader) {
            me.check()?;
        }
        polled
    }
}

impl<C: Connection> Read for Accepted<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if !me.unread.is_empty() {
            let n = me.unread.len().min(buf.remaining());
            buf.put_slice(&me.unread[..n]);
            me.unread.advance(n);
            return Poll::Ready(Ok(()));
        }
        me.check()?;
        let polled = Pin::new(&mut me.io).poll_read(cx, buf);
        match polled {
            Poll::Ready(_) => me.state.count_read(),
            Poll::Pending => {
                if me.reader.refresh(cx, &me.state.reader) {
                    me.check()?;
                }
            }
        }
        polled
    }
}

impl<C: Connection> Write for Accepted<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.write_with(cx, |io, cx| io.poll_write(cx, buf), |n| *n)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(cx, |io, cx| io.poll_flush(cx), |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write_with(cx, |io, cx| io.poll_shutdown(cx), |()| 0)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_with(cx, |io, cx| io.poll_write_vectored(cx, bufs), |n| *n)
    }
}

impl<C> fmt::Debug for Accepted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepted").field(&self.info).finish()
    }
}
