//! Receiving messages, and everything else that `recv` does: flushes, deadlines, the drain.
use super::{
    pool::ReadBuffer,
    state::{Socket, State},
    writers::Role,
};
use crate::{
    error::Error,
    message::Message,
    protocol::{Incoming, Violation},
};
use hyper::rt::{Read, ReadBuf};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// How often one poll reads, so that a peer that never stops sending does not occupy the worker.
const READS: usize = 32;

impl Socket {
    /// The next message, the peer's close, or an error. `None`: the WebSocket is closed.
    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        self.check_drain(cx);
        for _ in 0..READS {
            if let Some(message) = self.next() {
                return Poll::Ready(Some(Ok(message)));
            }
            // The task is about to wait, so queued messages and pongs are written now.
            let written = self.poll_written(Role::Receiver, cx);
            if self.state == State::Closed {
                return Poll::Ready(self.take_outcome());
            }
            let progress = match self.state {
                State::Finishing => written.map_ok(|()| None),
                _ => self.poll_fill(cx),
            };
            match progress {
                Poll::Ready(Ok(Some(message))) => return Poll::Ready(Some(Ok(message))),
                Poll::Ready(Ok(None)) => {}
                // Both closes are known, so the peer may end the connection first.
                Poll::Ready(Err(_)) if self.is_over() => self.end(None),
                Poll::Ready(Err(error)) => self.end(Some(Error::Io(error))),
                // The drain may have begun before this task's waker was known.
                Poll::Pending if self.check_drain(cx) => {}
                Poll::Pending => ready!(self.poll_deadline(cx)),
            }
        }
        // A peer that never stops sending must not delay the end.
        if !matches!(self.state, State::Open | State::Closed) {
            let _ = self.poll_deadline(cx);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next message in the read buffer.
    fn next(&mut self) -> Option<Message> {
        while let Some(buffer) = &mut self.unread {
            let mut used = 0;
            let next = self.incoming.next(buffer.unread(), &mut used);
            buffer.consume(used);
            if buffer.is_empty()
                && let Some(empty) = self.unread.take()
            {
                empty.recycle();
            }
            if let Some(message) = self.take(next) {
                return Some(message);
            }
        }
        None
    }

    fn take(&mut self, next: Result<Option<Incoming>, Violation>) -> Option<Message> {
        let is_open = self.state == State::Open;
        match next {
            Ok(Some(Incoming::Message(message))) if is_open => return Some(message),
            Ok(Some(Incoming::Ping(payload))) if is_open => self.answer(payload),
            Ok(Some(Incoming::Close(frame))) => self.closed_by_peer(frame),
            Ok(_) => {}
            Err(violation) => self.fail(violation),
        }
        if self.is_flooded() {
            self.fail(Violation::policy(
                "too many pings, pongs or empty fragments",
            ));
        }
        if !self.is_receiving() {
            self.unread = None;
        }
        None
    }

    /// Whether the peer sent more frames without data than allowed, in less than a second. The
    /// clock is read only when the count exceeds the limit.
    fn is_flooded(&mut self) -> bool {
        let overhead = self.incoming.overhead();
        if *overhead <= self.settings.max_control_frames || self.state == State::Failing {
            return false;
        }
        let is_burst = *overhead / 2 > self.settings.max_control_frames;
        *overhead = 0;
        let now = self.io.now();
        let before = self.rare().busy_since.replace(now);
        is_burst
            || before.is_some_and(|before| {
                now.saturating_duration_since(before) < Duration::from_secs(1)
            })
    }

    /// Reads bytes. A buffer is taken only when the connection is readable.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        if self.is_receiving()
            && let Some(room) = self.incoming.direct()
        {
            let mut space = ReadBuf::new(room);
            ready!(Pin::new(&mut self.io).poll_read(cx, space.unfilled()))?;
            let n = space.filled().len();
            if n == 0 {
                self.at_end();
                return Poll::Ready(Ok(None));
            }
            self.heartbeat.heard = true;
            let next = self.incoming.advance(n);
            return Poll::Ready(Ok(self.take(next)));
        }
        ready!(self.io.poll_readable(cx))?;
        match ready!(ReadBuffer::poll_read(Pin::new(&mut self.io), cx))? {
            None => self.at_end(),
            Some(buffer) if !self.is_receiving() => buffer.recycle(),
            Some(buffer) => {
                self.heartbeat.heard = true;
                self.unread = Some(buffer);
            }
        }
        Poll::Ready(Ok(None))
    }

    /// Whether frames are still processed.
    fn is_receiving(&self) -> bool {
        matches!(self.state, State::Open | State::Closing)
    }

    /// Whether both ends have sent a close.
    fn is_over(&self) -> bool {
        match self.state {
            State::Finishing => true,
            #[cfg(feature = "client")]
            State::Lingering => true,
            _ => false,
        }
    }

    /// The peer has ended its half.
    fn at_end(&mut self) {
        match self.is_over() {
            true => self.enter(State::Finishing),
            false => self.end(Some(Error::gone())),
        }
    }
}
