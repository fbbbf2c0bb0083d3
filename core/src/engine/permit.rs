//! A connection's place in the limits, once the server has dropped it.
use super::{ConnState, Registered};
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The place of one connection in the server's limits, which [`Connection::release`](crate::Connection::release) hands over. The connection counts until this is dropped:
/// against the connection limits, in a drain and in [`Event::Closed`](crate::Event::Closed).
pub struct Permit {
    state: Arc<ConnState>,
    aborted: Registered,
}

impl Permit {
    pub(super) fn new(state: Arc<ConnState>) -> Self {
        Self {
            state,
            aborted: Registered::default(),
        }
    }

    /// Whether the peer is owed what a write took and what hasn't been sent yet. It isn't if the peer left, if it stalled for
    /// [`write_stall`](crate::Timeouts::write_stall), or if the server aborts its connections.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        !self.state.is_forfeited() && !self.state.aborting()
    }

    /// How long the peer may take for what it's owed: the server's [`write_stall`](crate::Timeouts::write_stall).
    #[must_use]
    pub fn write_stall(&self) -> Duration {
        self.state.worker.shared.config.timeouts.write_stall
    }

    /// Ready once the server aborts its connections: the peer is owed nothing more.
    pub fn poll_aborted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The connection itself is gone, and nobody writes to it any more.
        let _ = self.aborted.refresh(cx, &self.state.others().writer);
        match self.state.aborting() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("connection", &self.state.id)
            .field("is_owed", &self.is_owed())
            .finish()
    }
}
