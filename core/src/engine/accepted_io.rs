//! The bytes of an accepted connection. Its reads and writes are counted, and fail after an abort.
//! They do nothing while the connection is taken from hyper.
use super::{Accepted, accepted::ColdState, linger::Linger, poll_scope};
use crate::transport::{ConnInfo, Connection, PeerState};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

impl<C: Connection> Accepted<C> {
    /// Whether only the connection's own task polls it, and no bytes were put back.
    fn is_plain(&self) -> bool {
        self.cold.is_none() && !self.state.flags.has_external_pollers()
    }

    /// Fails after an abort of the server. Only other tasks need this check, because the
    /// connection's own task is dropped.
    fn check(&self) -> io::Result<()> {
        if self.state.flags.has_external_pollers() && self.state.aborting() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the server has been shut down",
            ));
        }
        Ok(())
    }

    /// Registers the reading task, so that an abort of the server wakes it.
    fn await_abort_reading(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if self.state.flags.has_external_pollers() {
            let cold = self.cold.get_or_insert_default();
            if cold.reader.refresh(cx, self.state.reader()) {
                self.check()?;
            }
        }
        Ok(())
    }

    fn await_abort_writing(&mut self, cx: &Context<'_>) -> io::Result<()> {
        if self.state.flags.has_external_pollers() {
            let rare = ColdState::rare(&mut self.cold);
            if rare
                .writer
                .refresh(cx, &self.state.external_wakers().writer)
            {
                self.check()?;
            }
        }
        Ok(())
    }

    /// Writes, and counts the write. `retry` is called if the write is pending and the connection's
    /// deadline has passed. `bytes` is the number of bytes that a successful write took.
    #[inline]
    fn write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
        retry: impl FnOnce(Pin<&mut C>, &mut Context<'_>) -> Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if self.state.flags.has_external_pollers() {
            if self.state.flags.is_detaching() {
                self.state.flags.disturb_detaching();
                return Poll::Pending;
            }
            self.check()?;
        }
        let mut polled = write(Pin::new(&mut self.io), cx);
        if polled.is_pending() && self.state.flags.is_due() {
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
            self.state.flags.set_shut_down();
        }
        polled
    }

    /// Shuts the sending half down, then waits for the client's end.
    #[cold]
    fn close_lingering(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.state.flags.is_lingering() {
            ready!(self.shut_down(cx))?;
        }
        let linger = &mut ColdState::rare(&mut self.cold).linger;
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
        if self.state.flags.is_detaching() {
            self.state.flags.disturb_detaching();
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

/// Flushes what a stream has buffered.
fn retry_flush<C: Connection>(io: Pin<&mut C>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    io.poll_retry_write(cx, &[]).map_ok(drop)
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
        if self.state.is_blocked() || self.state.flags.has_external_pollers() {
            return match self.state.flags.is_detaching() {
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
        if self.state.flags.is_detaching() {
            return Poll::Ready(Ok(()));
        }
        if self.state.flags.lingers(self.state.is_being_read()) {
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
