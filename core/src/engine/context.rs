//! What a protocol gets from the server with each connection.
use super::ConnState;
use crate::runtime::Worker;
use std::{fmt, sync::Arc, time::Instant};

/// What a [`Protocol`](crate::Protocol) gets with each connection: the server's wishes.
///
/// The connection's task is polled again whenever one of the answers changes.
pub struct ConnContext {
    pub(crate) state: Arc<ConnState>,
}

impl ConnContext {
    /// Which worker the connection belongs to.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.state.worker.worker
    }

    /// Whether the server is draining: the connection should tell its peer to go elsewhere, finish
    /// what it's doing, and end.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != super::Stage::Serving
    }

    /// Whether nothing new should be begun: the peer has had the time to learn of the drain.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.state.stage() >= super::Stage::Closing
    }

    /// Whether there are requests with a task of their own
    /// ([`Requests::spawn`](crate::http::Requests::spawn)).
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.state.has_subtasks()
    }

    /// Has the connection's task polled again at this time of [`now`](Self::now), or earlier.
    pub fn wake_at(&self, at: Instant) {
        // What it was to be woken for before has been seen.
        let _ = self.state.take_due();
        self.state.wake_at(Some(at));
    }

    /// The time on the worker's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.state.now()
    }

    pub(super) fn new(state: Arc<ConnState>) -> Self {
        Self { state }
    }
}

impl fmt::Debug for ConnContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnContext")
            .field("draining", &self.draining())
            .finish_non_exhaustive()
    }
}
