//! The I/O object of an accepted connection: counted and abortable wherever it goes.
use super::{ConnState, Stage, linger::Linger, poll_scope};
use crate::{
    runtime::Registered,
    transport::{Admission, Close, ConnInfo, Connected, Connection, Moment, PeerState, Permit},
};
use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    fmt, io,
    io::IoSlice,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A connection that the server accepted: the transport's stream, counted until it is dropped.
///
/// A raw handler gets it, and `hyper::upgrade` returns it after an upgrade
/// (`upgraded.downcast::<Accepted<_>>()`). Wherever it is moved, it counts against the connection
/// limit. At the end of a drain's grace period, its reads and writes fail with
/// [`io::ErrorKind::ConnectionAborted`].
///
/// For code that wants tokio's I/O traits, wrap it in `hyper_util::rt::TokioIo`.
pub struct Accepted<C: Connected> {
    pub(super) io: C,
    /// Replaces the facts of `io`, if `io` is shared by several connections.
    info: Option<ConnInfo>,
    pub(super) state: Arc<ConnState>,
    /// State that most connections do not need most of the time.
    spare: Option<Box<Spare>>,
}

/// Flushes what a stream has buffered.
fn retry_flush<C: Connection>(io: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    io.poll_retry_write(cx, &[]).map_ok(drop)
}

/// Every idle WebSocket has this value, so the part that is seldom needed is separate.
#[derive(Default)]
struct Spare {
    reader: Registered,
    rest: Option<Box<Rest>>,
}

/// State that hardly any connection needs.
#[derive(Default)]
struct Rest {
    /// Bytes that were read before their reader was known.
    unread: Bytes,
    writer: Registered,
    /// The connection has been shut down, and waits for the client's end.
    linger: Option<Linger>,
}

impl Spare {
    fn rest(spare: &mut Option<Box<Self>>) -> &mut Rest {
        let spare = spare.get_or_insert_default();
        spare.rest.get_or_insert_default()
    }
}

impl<C: Connected> Accepted<C> {
    pub(super) fn new(io: C, state: Arc<ConnState>) -> Self {
        state.set_external_pollers();
        let admission = Admission {
            drain: Some(Arc::clone(&state.worker.shared.drain_begins)),
            id: state.id,
            worker: u32::try_from(state.worker.worker.index).unwrap_or(u32::MAX),
            at: Moment::of(state.accepted_at),
        };
        let info = io.conn_info().admit(admission);
        Self {
            io,
            info,
            state,
            spare: None,
        }
    }

    #[cfg(any(feature = "http1", feature = "http2"))]
    pub(crate) fn state(&self) -> &ConnState {
        &self.state
    }

    /// The facts about the connection.
    pub fn conn_info(&self) -> &ConnInfo {
        self.info.as_ref().unwrap_or_else(|| self.io.conn_info())
    }

    /// The transport's own stream. Returned by reference: taking it out would bypass connection
    /// counting.
    pub fn io(&self) -> &C {
        &self.io
    }

    /// The same, to drive a connection that is not a byte stream. Bytes that are read or written
    /// this way are not counted, so use [`Accepted`] itself for a byte stream.
    pub fn io_mut(&mut self) -> &mut C {
        &mut self.io
    }

    /// Whether the server is draining: the client should be asked to reconnect elsewhere, if the
    /// protocol has a message for that.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != Stage::Serving
    }

    /// Ready once the server drains, for a raw handler that waits for its client meanwhile. Use one
    /// at a time: of several, only the one that was polled last is woken.
    ///
    /// ```
    /// # use anyport_core::{Connection, protocol::Accepted};
    /// # async fn f<C: Connection>(connection: Accepted<C>, talk: impl Future<Output = ()>) {
    /// let drain = connection.drain();
    /// tokio::select! {
    ///     () = talk => {}
    ///     () = drain => { /* say goodbye */ }
    /// }
    /// # }
    /// ```
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        // Weak, so that waiting for the drain does not keep the connection open.
        let state = Arc::downgrade(&self.state);
        let mut registered = Registered::default();
        std::future::poll_fn(move |cx| {
            let Some(state) = state.upgrade() else {
                return Poll::Pending;
            };
            let _ = registered.refresh(cx, &state.external_wakers().drain);
            match state.stage() {
                Stage::Serving => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
    }
}

impl<C: Connection> Accepted<C> {
    /// Puts bytes back. The next read returns them first.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let unread = &mut Spare::rest(&mut self.spare).unread;
        *unread = match unread.is_empty() {
            true => bytes,
            false => [bytes, mem::take(unread)].concat().into(),
        };
    }

    /// Reads bytes that were put back, if there are any.
    fn read_again(&mut self, buf: &mut ReadBufCursor<'_>) -> bool {
        let Some(spare) = &mut self.spare else {
            return false;
        };
        let Some(rest) = spare.rest.as_mut().filter(|rest| !rest.unread.is_empty()) else {
            return false;
        };
        let n = rest.unread.len().min(buf.remaining());
        buf.put_slice(&rest.unread[..n]);
        rest.unread.advance(n);
        if rest.unread.is_empty() {
            rest.unread = Bytes::new();
            if !self.state.has_external_pollers() {
                self.spare = None;
            } else if rest.linger.is_none() {
                // The waiting writer registers again.
                spare.rest = None;
            }
        }
        true
    }

    /// Lets a client that is still sending at the shutdown finish.
    #[cfg(feature = "http1")]
    pub(crate) fn linger_at_close(&self) {
        self.state.linger_at_close();
    }

    pub(super) fn has_unread(&self) -> bool {
        let rest = self.spare.as_ref().and_then(|spare| spare.rest.as_ref());
        rest.is_some_and(|rest| !rest.unread.is_empty())
    }

    /// Whether only the connection's own task polls it, and no bytes were put back.
    fn is_plain(&self) -> bool {
        self.spare.is_none() && !self.state.has_external_pollers()
    }

    /// An error after an abort of the server. The connection's own task is dropped then, and does
    /// not have to ask.
    fn check(&self) -> io::Result<()> {
        if self.state.has_external_pollers() && self.state.aborting() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has been shut down",
            ));
        }
        Ok(())
    }

    /// Registers the reading task for an abort of the server.
    fn await_abort_reading(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if self.state.has_external_pollers() {
            let spare = self.spare.get_or_insert_default();
            if spare.reader.refresh(cx, self.state.reader()) {
                self.check()?;
            }
        }
        Ok(())
    }

    fn await_abort_writing(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if self.state.has_external_pollers() {
            let rest = Spare::rest(&mut self.spare);
            if rest
                .writer
                .refresh(cx, &self.state.external_wakers().writer)
            {
                self.check()?;
            }
        }
        Ok(())
    }

    /// `retry` is called now and then while the write is pending. `bytes` returns how many bytes a
    /// success has written.
    #[inline]
    fn write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
        retry: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if self.state.has_external_pollers() {
            if self.state.is_detaching() {
                self.state.disturb_detaching();
                return Poll::Pending;
            }
            self.check()?;
        }
        let mut polled = write(Pin::new(&mut self.io), cx);
        if polled.is_pending() && self.state.is_due() {
            polled = retry(Pin::new(&mut self.io), cx);
            self.note_progress();
        }
        match &polled {
            Poll::Ready(Ok(done)) => self.state.count_write(bytes(done)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                self.state.set_blocked(true);
                self.await_abort_writing(cx)?;
            }
        }
        polled
    }

    fn shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let pending = |_: Pin<&mut C>, _: &mut Context<'_>| Poll::Pending;
        let polled = self.write_with(cx, |io, cx| io.poll_shutdown(cx), pending, |()| 0);
        if polled.is_ready() {
            self.state.set_shut_down();
        }
        polled
    }

    /// Shuts the connection down, then waits for the client's end.
    #[cold]
    fn close_lingering(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.is_lingering() {
            ready!(self.shut_down(cx))?;
        }
        let linger = &mut Spare::rest(&mut self.spare).linger;
        let linger = linger.get_or_insert_with(|| Linger::begin(&self.state));
        linger.poll(Pin::new(&mut self.io), &self.state, cx).map(Ok)
    }

    /// Reads what was put back, or reads from the stream for a task that needs to see an abort.
    #[cold]
    fn read_specially(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.state.is_detaching() {
            self.state.disturb_detaching();
            return Poll::Pending;
        }
        if self.read_again(&mut buf) {
            return Poll::Ready(Ok(()));
        }
        self.check()?;
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        match polled {
            Poll::Ready(_) => self.state.count_read(),
            Poll::Pending => self.await_abort_reading(cx)?,
        }
        polled
    }
}

impl<C: Connection> Connection for Accepted<C> {
    fn info(&self) -> &ConnInfo {
        self.conn_info()
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_unread() {
            return Poll::Ready(Ok(()));
        }
        self.check()?;
        let polled = Pin::new(&mut self.io).poll_readable(cx);
        if polled.is_pending() {
            self.await_abort_reading(cx)?;
        }
        polled
    }

    fn peer_state(&mut self) -> PeerState {
        self.io.peer_state()
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_retry_write(cx, bufs)
    }

    fn bytes_sent(&self) -> Option<u64> {
        self.io.bytes_sent()
    }

    fn reset(&mut self) {
        self.io.reset();
    }
}

impl<C: Connection> Read for Accepted<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_plain() {
            return self.read_specially(cx, buf);
        }
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.state.count_read();
        }
        polled
    }
}

impl<C: Connection> Write for Accepted<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let bufs = &[IoSlice::new(buf)];
        let retry = |io: Pin<&mut C>, cx: &mut Context<'_>| io.poll_retry_write(cx, bufs);
        self.write_with(cx, |io, cx| io.poll_write(cx, buf), retry, |n| *n)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_blocked() || self.state.has_external_pollers() {
            return match self.state.is_detaching() {
                true => Pin::new(&mut self.io).poll_flush(cx),
                false => self.write_with(cx, |io, cx| io.poll_flush(cx), retry_flush, |()| 0),
            };
        }
        // Hyper flushes often, mostly with nothing to flush.
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        if polled.is_pending() {
            self.state.set_blocked(true);
        }
        if poll_scope::is_open() {
            self.watch_peer(cx)?;
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.state.is_detaching() {
            return Poll::Ready(Ok(()));
        }
        if self.state.lingers() {
            return self.close_lingering(cx);
        }
        self.shut_down(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let retry = |io: Pin<&mut C>, cx: &mut Context<'_>| io.poll_retry_write(cx, bufs);
        self.write_with(cx, |io, cx| io.poll_write_vectored(cx, bufs), retry, |n| *n)
    }
}

impl<C: Connected> Drop for Accepted<C> {
    fn drop(&mut self) {
        let how = if self.state.is_to_be_reset() {
            self.state.discard_unsent();
            Close::Reset
        } else if self.state.closes_gracefully() {
            Close::Graceful
        } else {
            Close::Silent
        };
        let permit = Permit::new(self.state.clone());
        Pin::new(&mut self.io).close(how, permit);
    }
}

impl<C: Connected> fmt::Debug for Accepted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepted").field(self.conn_info()).finish()
    }
}
