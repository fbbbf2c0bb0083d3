//! What a protocol gets from the server with each connection.
use super::ConnState;
use crate::runtime::Worker;
use std::{fmt, sync::Arc};

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

    /// Whether the server is draining: the connection should tell its peer to go elsewhere, finish what it's doing, and end.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != super::Stage::Serving
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
