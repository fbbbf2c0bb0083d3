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
    answers: u32,
    /// Since when the peer takes nothing, and what had been written then.
    stall: Option<(Instant, u32)>,
}

/// What is over at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer owes a head.
    Head,
    /// It has been idle for too long, or said nothing after it was told to go.
    Idle,
    /// It reads nothing.
    Stall,
    /// It's to end, and has said nothing for long enough.
    Quiet,
    /// It has reached the age at which it's to end.
    Old,
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
            answers: 0,
            stall: None,
        }
    }

    /// An HTTP/2 connection may be opened before it's needed: it owes nothing.
    #[cfg(feature = "http2")]
    pub(super) fn no_head_owed(&mut self, now: Instant) {
        self.phase = Phase::Idle { since: now };
    }

    /// Whether nothing can be due: a request is being answered, and the peer takes what it's sent. Then the clock is left alone.
    pub(super) fn is_carefree(&mut self, state: &ConnState) -> bool {
        let carefree = state.is_busy() && state.blocked_at().is_none();
        if carefree {
            self.phase = Phase::Busy;
            self.stall = None;
        }
        carefree
    }

    /// Sees how things stand after the connection was polled as far as it went.
    pub(super) fn observe(&mut self, state: &ConnState, version: Version, now: Instant) {
        let (requests, reads) = (state.requests(), state.reads());
        // What has been answered but not been taken yet, is not over.
        if state.is_busy() || state.blocked_at().is_some() {
            self.phase = Phase::Busy;
        } else if self.phase == Phase::Busy || requests != self.requests {
            self.phase = Phase::Idle { since: now };
            self.reads = reads;
        } else if matches!(self.phase, Phase::Idle { .. }) && version == Version::Http1 && reads != self.reads
        {
            self.phase = Phase::Head { since: now };
        }
        self.requests = requests;
        // An HTTP/2 stream is over when its answer has been handed over; what the peer's window holds back is still to be sent.
        let answers = state.answers();
        if answers != self.answers
            && let Phase::Idle { since } | Phase::Leaving { since } = &mut self.phase
        {
            *since = now;
        }
        self.answers = answers;
        self.stall = match (state.blocked_at(), self.stall) {
            (None, _) => None,
            (Some(writes), Some((since, then))) if writes == then => Some((since, then)),
            (Some(writes), _) => Some((now, writes)),
        };
    }

    /// Said goodbye to an idle peer.
    pub(super) fn leave(&mut self, now: Instant) {
        self.phase = Phase::Leaving { since: now };
    }

    /// What's due next, and when.
    pub(super) fn due(&self, timeouts: &Timeouts) -> Option<(Instant, Due)> {
        let phase = match self.phase {
            Phase::Head { since } => since.checked_add(timeouts.head).map(|at| (at, Due::Head)),
            Phase::Leaving { since } => since.checked_add(timeouts.head).map(|at| (at, Due::Idle)),
            Phase::Idle { since } => since.checked_add(timeouts.keep_alive).map(|at| (at, Due::Idle)),
            Phase::Busy => None,
        };
        let stall = self
            .stall
            .and_then(|(since, _)| since.checked_add(timeouts.write_stall));
        phase
            .into_iter()
            .chain(stall.map(|at| (at, Due::Stall)))
            .min_by_key(|(at, _)| *at)
    }

    pub(super) fn idle_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle { since } => Some(since),
            _ => None,
        }
    }

    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.phase, Phase::Head { .. })
    }
}
