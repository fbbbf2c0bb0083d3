//! The permit of a connection: it counts against the limits until the permit is dropped.
use crate::runtime::Registered;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// The place of one connection in the server's limits, which
/// [`Connection::release`](crate::Connection::release) hands over. The connection counts until this
/// is dropped: against the connection limits, in a drain and in
/// [`Event::Closed`](crate::observe::Event::Closed).
pub struct Permit {
    place: Arc<dyn Place>,
    aborted: Registered,
}

/// What the server knows of a connection that it has dropped.
pub(crate) trait Place: Send + Sync {
    fn id(&self) -> u64;

    fn is_owed(&self) -> bool;

    fn write_stall(&self) -> Duration;

    /// Ready once the server aborts its connections. `registered`: the caller's, for whom it's
    /// woken then.
    fn poll_aborted(&self, registered: &mut Registered, cx: &mut Context<'_>) -> Poll<()>;
}

impl Permit {
    pub(crate) fn new(place: Arc<dyn Place>) -> Self {
        Self {
            place,
            aborted: Registered::default(),
        }
    }

    /// Whether the peer is owed what a write took and what hasn't been sent yet. It isn't if the
    /// peer left, if it stalled for [`write_stall`](crate::Timeouts::write_stall), or if the server
    /// aborts its connections.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.place.is_owed()
    }

    /// How long the peer may take for what it's owed: the server's
    /// [`write_stall`](crate::Timeouts::write_stall).
    #[must_use]
    pub fn write_stall(&self) -> Duration {
        self.place.write_stall()
    }

    /// Ready once the server aborts its connections: the peer is owed nothing more.
    pub fn poll_aborted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.place.poll_aborted(&mut self.aborted, cx)
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("connection", &self.place.id())
            .field("is_owed", &self.is_owed())
            .finish()
    }
}
