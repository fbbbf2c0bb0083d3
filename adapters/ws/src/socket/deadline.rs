//! Until when a peer has to give a sign of life.
use super::state::{PING, Phase, Socket};
use crate::{error::Error, socket::pool};
use bytes::Bytes;
use hyper::rt::Sleep;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// A timer, and what happened since it was set.
#[derive(Default)]
pub(super) struct Deadline {
    sleep: Option<Pin<Box<dyn Sleep>>>,
    /// Something was heard of the peer. So there's no clock read per message.
    pub(super) heard: bool,
    /// Nothing was, and it has been asked.
    pinged: bool,
}

impl Deadline {
    /// Another one applies.
    pub(super) fn restart(&mut self) {
        self.sleep = None;
    }
}

impl Socket {
    /// Ready when it's over, or its peer has been asked for a sign of life. Waits for ever if
    /// there's no deadline.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_open = self.phase == Phase::Open;
        let limit = match self.phase {
            Phase::Open => self.settings.heartbeat,
            Phase::Closing if self.is_drained => None,
            _ => Some(self.settings.close_timeout),
        };
        let Some(limit) = limit else {
            return Poll::Pending;
        };
        let deadline = &mut self.deadline;
        let sleep = deadline
            .sleep
            .get_or_insert_with(|| self.timer.sleep(limit));
        ready!(sleep.as_mut().poll(cx));
        let heard = std::mem::take(&mut deadline.heard);
        if !is_open || (deadline.pinged && !heard) {
            self.end(Some(Error::Timeout));
            return Poll::Ready(());
        }
        deadline.pinged = !heard;
        self.timer.reset(sleep, self.timer.now() + limit);
        if !heard {
            self.out.push(PING, false, Bytes::new(), pool::write_buffer);
        }
        // To be polled again, since it has been reset.
        Poll::Ready(())
    }
}

impl std::fmt::Debug for Deadline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deadline")
            .field("pinged", &self.pinged)
            .finish_non_exhaustive()
    }
}
