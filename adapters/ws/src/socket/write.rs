//! Writes queued messages, pongs and closes.
use super::{
    pool,
    state::{PONG, Socket, State},
    writers::Role,
};
use crate::{error::Error, message::Message};
use bytes::Bytes;
use hyper::rt::Write;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

impl Socket {
    /// Ready when a message may be queued, because fewer bytes than the limit wait to be written.
    pub(crate) fn poll_ready(
        &mut self,
        role: Role,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        self.check_drain(cx);
        if self.out.len() < self.settings.max_write_buffer || self.state != State::Open {
            return Poll::Ready(match self.state {
                State::Open => Ok(()),
                _ => Err(Error::Closed),
            });
        }
        self.poll_flush(role, cx)
    }

    /// Queues the message when there is room for it.
    pub(crate) fn poll_feed(
        &mut self,
        message: &mut Option<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if message.is_some() {
            ready!(self.poll_ready(Role::Sender, cx))?;
        }
        Poll::Ready(message.take().map_or(Ok(()), |message| self.push(message)))
    }

    /// Queues the message and flushes.
    pub(crate) fn poll_send(
        &mut self,
        message: &mut Option<Message>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_feed(message, cx))?;
        self.poll_flush(Role::Sender, cx)
    }

    /// Ready when all queued messages have been written.
    pub(crate) fn poll_flush(
        &mut self,
        role: Role,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            match self.poll_written(role, cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    self.end(Some(Error::Io(io::Error::from(error.kind()))));
                    return Poll::Ready(Err(Error::Io(error)));
                }
                // A peer that reads nothing may have disappeared.
                Poll::Pending => ready!(self.poll_deadline(cx)),
            }
            if self.state == State::Closed {
                return Poll::Ready(Err(Error::Timeout));
            }
        }
    }

    /// Answers a ping. While there is no room, only the latest ping is kept (RFC 6455 5.5.3).
    pub(super) fn answer(&mut self, payload: Bytes) {
        match self.out.len() < self.settings.max_write_buffer {
            true => self.queue(PONG, false, payload),
            false => self.rare().pong = Some(Box::new(payload)),
        }
    }

    /// Writes all bytes. If both ends have sent a close, shuts down this half of the connection
    /// then.
    pub(super) fn poll_written(
        &mut self,
        role: Role,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let written = self.poll_written_once(role, cx);
            // A pong that had no room before has room now.
            let is_open = self.state == State::Open;
            let has_more = is_open && self.has_rare().is_some_and(|rare| rare.pong.is_some());
            if !(matches!(written, Poll::Ready(Ok(()))) && has_more) {
                return written;
            }
        }
    }

    fn poll_written_once(&mut self, role: Role, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(payload) = self.has_rare().and_then(|rare| rare.pong.take()) {
            self.answer(*payload);
        }
        let is_last =
            matches!(self.state, State::Failing | State::Finishing) && !self.has_shut_down;
        if self.out.is_empty() && !self.is_unflushed && !is_last {
            return Poll::Ready(Ok(()));
        }
        let both = self
            .has_rare()
            .and_then(|rare| rare.writers.waker(role, cx));
        let mut write_cx = Context::from_waker(both.as_ref().unwrap_or_else(|| cx.waker()));
        let written = self.poll_io(&mut write_cx, is_last);
        if written.is_pending() {
            self.rare().writers.wait(role, cx);
        } else if let Some(rare) = self.has_rare() {
            rare.writers.done(role);
        }
        written
    }

    fn poll_io(&mut self, cx: &mut Context<'_>, is_last: bool) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let n = match self.poll_write(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(n) => n?,
                Poll::Pending => {
                    self.is_blocked = true;
                    return Poll::Pending;
                }
            };
            // A write that did not have to wait says nothing about the peer.
            self.heartbeat.heard |= std::mem::take(&mut self.is_blocked);
            self.is_unflushed = true;
            self.out.advance(n);
        }
        if let Some(buffer) = self.out.reclaim() {
            pool::recycle_write_buffer(buffer);
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        if is_last {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.has_shut_down = true;
            if self.state == State::Finishing {
                self.end(None);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = Pin::new(&mut self.io);
        if !io.is_write_vectored() {
            return io.poll_write(cx, self.out.first());
        }
        let mut slices = [IoSlice::new(&[]); 16];
        match self.out.slices(&mut slices) {
            1 => io.poll_write(cx, &slices[0]),
            count => io.poll_write_vectored(cx, &slices[..count]),
        }
    }
}
