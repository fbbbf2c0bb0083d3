//! The heartbeat, and the deadline for the peer's close.
use super::state::{PING, Socket, State};
use crate::error::Error;
use bytes::Bytes;
use std::task::{Context, Poll, ready};

/// The activity since the deadline was set. The connection holds the deadline itself.
#[derive(Debug, Default)]
pub(super) struct Heartbeat {
    is_set: bool,
    /// The peer sent or read something. This is a flag, so that no message reads the clock.
    pub(super) heard: bool,
    /// The peer was silent for an interval, and a ping was sent.
    pinged: bool,
}

impl Heartbeat {
    /// The next poll sets another deadline.
    pub(super) fn restart(&mut self) {
        self.is_set = false;
    }
}

impl Socket {
    /// Ready when the state has changed, or when a ping is queued. Pending for ever if there is
    /// no deadline.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_open = self.state == State::Open;
        let limit = match self.state {
            State::Open => self.settings.heartbeat,
            State::Closing if self.is_drained => None,
            _ => Some(self.settings.close_timeout),
        };
        if !self.heartbeat.is_set {
            self.io.set_deadline(limit);
            self.heartbeat.is_set = true;
        }
        ready!(self.io.poll_deadline(cx));
        #[cfg(feature = "client")]
        if self.state == State::Lingering {
            self.enter(State::Finishing);
            return Poll::Ready(());
        }
        let heard = std::mem::take(&mut self.heartbeat.heard);
        if !is_open || (self.heartbeat.pinged && !heard) {
            self.end(Some(Error::Timeout));
            return Poll::Ready(());
        }
        self.heartbeat = Heartbeat {
            is_set: false,
            heard: false,
            pinged: !heard,
        };
        if !heard {
            self.queue(PING, false, Bytes::new());
        }
        // The caller polls again, which sets the next deadline.
        Poll::Ready(())
    }
}
