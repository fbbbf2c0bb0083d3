//! The permit of a connection: it counts against the limits until the permit is dropped.
use crate::runtime::Registered;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The slot of one connection in the server's limits, passed to
/// [`Connection::release`](crate::Connection::release). The connection counts until the permit is
/// dropped: against the connection limits, in a drain, and in
/// [`Event::Closed`](crate::observe::Event::Closed).
pub struct Permit {
    slot: Arc<dyn Slot>,
    aborted: Registered,
}

/// The server's side of a connection that it has dropped.
pub(crate) trait Slot: Send + Sync {
    fn id(&self) -> u64;

    fn must_flush(&self) -> bool;

    fn write_stall(&self) -> Duration;

    /// Ready when the server aborts its connections. `registered` is the caller's registration for
    /// that wake-up.
    fn poll_aborted(&self, registered: &mut Registered, cx: &mut Context<'_>) -> Poll<()>;
}

impl Permit {
    pub(crate) fn new(slot: Arc<dyn Slot>) -> Self {
        Self {
            slot,
            aborted: Registered::default(),
        }
    }

    /// Whether accepted but unsent bytes must still be sent. They need not if the peer has
    /// disconnected, has stalled for [`write_stall`](crate::Timeouts::write_stall), or if the
    /// server aborts its connections.
    #[must_use]
    pub fn must_flush(&self) -> bool {
        self.slot.must_flush()
    }

    /// How long the peer may take to receive the unsent bytes: the server's
    /// [`write_stall`](crate::Timeouts::write_stall).
    #[must_use]
    pub fn write_stall(&self) -> Duration {
        self.slot.write_stall()
    }

    /// Ready when the server aborts its connections; then nothing more need be sent.
    pub fn poll_aborted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.slot.poll_aborted(&mut self.aborted, cx)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("connection", &self.slot.id())
            .field("must_flush", &self.must_flush())
            .finish()
    }
}
