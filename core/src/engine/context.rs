//! What a protocol gets from the server with each connection.
use super::ConnState;
use crate::Worker;
use std::{fmt, sync::Arc, time::Instant};

/// What a [`Protocol`](crate::Protocol) gets with each connection: the server's wishes.
///
/// The connection's task is polled again whenever one of the answers changes.
pub struct ConnContext {
    pub(crate) state: Arc<ConnState>,
    /// When the worker wakes the connection's task.
    armed: Option<Instant>,
}

impl ConnContext {
    /// Which worker the connection belongs to.
    #[must_use]
    pub fn worker(&self) -> &Worker {
        &self.state.worker.worker
    }

    /// Whether the server is draining: the connection should tell its peer to go elsewhere, finish what it's doing, and end.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != super::Stage::Serving
    }

    pub(super) fn new(state: Arc<ConnState>) -> Self {
        Self { state, armed: None }
    }

    /// Has the task polled again at `at`, or earlier: a deadline that moved further away is looked at when the old one is reached, so that moving it
    /// costs nothing. `None` is never.
    pub(crate) fn wake_at(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return };
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            self.state.wake_at(at);
        }
    }

    /// Whether the task was to be polled at about this time. Asked once; from then on, nothing is armed.
    pub(crate) fn take_due(&mut self) -> bool {
        let due = self.state.take_due();
        if due {
            self.armed = None;
        }
        due
    }
}

impl fmt::Debug for ConnContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnContext")
            .field("draining", &self.draining())
            .finish_non_exhaustive()
    }
}
