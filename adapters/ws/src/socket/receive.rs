//! Receiving: messages out of what was read, and everything that has to happen beside that.
use super::{
    pool::ReadBuffer,
    state::{Phase, Socket},
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

/// How often it reads in one poll, so that a peer that sends without end doesn't have the worker to
/// itself.
const READS: usize = 32;

impl Socket {
    /// The next message, the peer's close, or why there are none. `None`: it's over.
    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Error>>> {
        for _ in 0..READS {
            self.look_at_drain(Some(cx));
            // What's there already.
            if let Some(message) = self.next() {
                return Poll::Ready(Some(Ok(message)));
            }
            // Nothing more is there at once: what was fed goes out, the answers to pings among it.
            let written = self.poll_written(Role::Receiver, cx);
            if self.phase == Phase::Over {
                return Poll::Ready(self.last_word());
            }
            let progress = match self.phase {
                Phase::Finishing => written.map_ok(|()| None),
                _ => self.poll_fill(cx),
            };
            match progress {
                Poll::Ready(Ok(Some(message))) => return Poll::Ready(Some(Ok(message))),
                Poll::Ready(Ok(None)) => {}
                // All has been said; the peer may be the quicker one to leave.
                Poll::Ready(Err(_)) if self.phase == Phase::Finishing => self.end(None),
                Poll::Ready(Err(error)) => self.end(Some(Error::Io(error))),
                Poll::Pending => ready!(self.poll_deadline(cx)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The next message of what has been read.
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
        let is_open = self.phase == Phase::Open;
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
        if !matches!(self.phase, Phase::Open | Phase::Closing) {
            self.unread = None;
        }
        None
    }

    /// Whether the peer sent more frames without data than it may, in less than a second. So
    /// there's no clock read per frame.
    fn is_flooded(&mut self) -> bool {
        let overhead = self.incoming.overhead();
        if *overhead <= self.settings.max_control_frames || self.phase == Phase::Failing {
            return false;
        }
        let is_burst = *overhead / 2 > self.settings.max_control_frames;
        *overhead = 0;
        let now = self.timer.now();
        let before = self.busy_since.replace(now);
        is_burst
            || before.is_some_and(|before| {
                now.saturating_duration_since(before) < Duration::from_secs(1)
            })
    }

    /// Reads, without a buffer of its own while there's nothing to be read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Message>>> {
        if self.phase != Phase::Failing
            && let Some(room) = self.incoming.direct()
        {
            let mut space = ReadBuf::new(room);
            ready!(Pin::new(&mut self.io).poll_read(cx, space.unfilled()))?;
            let n = space.filled().len();
            if n == 0 {
                self.at_end();
                return Poll::Ready(Ok(None));
            }
            self.deadline.heard = true;
            let next = self.incoming.advance(n);
            return Poll::Ready(Ok(self.take(next)));
        }
        ready!(self.io.poll_readable(cx))?;
        match ready!(ReadBuffer::poll_read(Pin::new(&mut self.io), cx))? {
            None => self.at_end(),
            Some(buffer) if self.phase == Phase::Failing => buffer.recycle(),
            Some(buffer) => {
                self.deadline.heard = true;
                self.unread = Some(buffer);
            }
        }
        Poll::Ready(Ok(None))
    }

    /// The peer has ended its half.
    fn at_end(&mut self) {
        self.end(Some(Error::gone()));
    }
}
