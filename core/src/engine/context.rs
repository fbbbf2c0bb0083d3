//! The context that a protocol gets from the server with each connection.
use super::ConnState;
use crate::runtime::Worker;
use std::{fmt, sync::Arc, time::Instant};

/// The context that a [`Protocol`](crate::Protocol) gets with each connection.
///
/// The connection's task is polled again whenever one of the answers changes.
pub struct ConnContext {
    pub(crate) state: Arc<ConnState>,
}

impl ConnContext {
    /// The worker that the connection belongs to.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.state.worker.worker
    }

    /// Whether the server is draining: the connection should ask its client to reconnect elsewhere,
    /// finish what is in progress, and end.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != super::Stage::Serving
    }

    /// Whether no new work should begin: the client has had time to learn of the drain.
    #[must_use]
    pub fn closing(&self) -> bool {
        self.state.stage() >= super::Stage::Closing
    }

    /// Whether any response has a task of its own
    /// ([`Requests::spawn`](crate::http::Requests::spawn)).
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.state.has_subtasks()
    }

    /// Makes the worker wake the connection's task at this time of [`now`](Self::now), or earlier.
    pub fn wake_at(&self, at: Instant) {
        // The previous request to be polled has been handled.
        let _ = self.state.flags.take_due();
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
