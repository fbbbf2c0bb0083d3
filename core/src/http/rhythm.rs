//! What an HTTP connection is waiting for, and how long it may.
use super::detect::Version;
use crate::{Timeouts, engine::ConnState};
use std::time::Instant;

/// Follows a connection from request to request by what it counts, without being told.
#[derive(Debug)]
pub(super) struct Rhythm {
    phase: Phase,
    requests: u32,
    reads: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is expected, or has begun to arrive.
    Head { since: Instant },
    /// A request is being answered.
    Busy,
    /// Nothing is asked and nothing is answered.
    Idle { since: Instant },
    /// The peer has been told that it was idle for too long.
    Leaving { since: Instant },
}

impl Rhythm {
    /// A connection that owes its first head.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Head { since: now },
            requests: 0,
            reads: 0,
        }
    }

    /// An HTTP/2 connection may be opened before it's needed: it owes nothing.
    #[cfg(feature = "http2")]
    pub(super) fn no_head_owed(&mut self, now: Instant) {
        self.phase = Phase::Idle { since: now };
    }

    /// A request is being answered.
    pub(super) fn busy(&mut self) {
        self.phase = Phase::Busy;
    }

    /// Sees how things stand after the connection was polled as far as it went, and is not busy.
    pub(super) fn observe(&mut self, state: &ConnState, version: Version, now: Instant) {
        let (requests, reads) = (state.requests(), state.reads());
        if self.phase == Phase::Busy || requests != self.requests {
            self.phase = Phase::Idle { since: now };
            self.reads = reads;
        } else if matches!(self.phase, Phase::Idle { .. }) && version == Version::Http1 && reads != self.reads
        {
            self.phase = Phase::Head { since: now };
        }
        self.requests = requests;
    }

    /// Said goodbye to an idle peer.
    pub(super) fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving { since: now };
    }

    /// By when something else has to happen.
    pub(super) fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        match self.phase {
            Phase::Head { since } | Phase::Leaving { since } => since.checked_add(timeouts.head),
            Phase::Idle { since } => since.checked_add(timeouts.keep_alive),
            Phase::Busy => None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle { .. })
    }

    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.phase, Phase::Head { .. })
    }
}
