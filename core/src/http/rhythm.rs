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
    /// When the peer was last heard of.
    heard: Instant,
    /// Since when the peer takes nothing, and what had been written then.
    stall: Option<(Instant, u32)>,
}

/// What is over at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer owes a head.
    Head,
    /// It has been idle for too long.
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
    /// A request has been answered, but its body is still being read. Since when nothing of it came.
    Uploading { since: Instant },
    /// Nothing is asked and nothing is answered, since the end of what was, or since the last of it was sent.
    Idle { since: Instant, ended: Instant },
}

impl Rhythm {
    /// A connection that owes its first head.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Head { since: now },
            requests: 0,
            reads: 0,
            answers: 0,
            heard: now,
            stall: None,
        }
    }

    /// An HTTP/2 connection may be opened before it's needed: it owes nothing.
    #[cfg(feature = "http2")]
    pub(super) fn no_head_owed(&mut self, now: Instant) {
        self.phase = Phase::Idle {
            since: now,
            ended: now,
        };
    }

    /// Notes that a request is being answered and that the peer takes what it's sent, if so: then nothing is due, and no clock is needed.
    pub(super) fn observe_carefree(&mut self, state: &ConnState) -> bool {
        let carefree = state.is_answering() && state.blocked_at().is_none();
        if carefree {
            self.phase = Phase::Busy;
            self.stall = None;
        }
        carefree
    }

    /// Sees how things stand after the connection was polled as far as it went.
    pub(super) fn observe(&mut self, state: &ConnState, version: Version, timeouts: &Timeouts, now: Instant) {
        let (requests, reads, answers) = (state.requests(), state.reads(), state.answers());
        let (read, answered) = (reads != self.reads, answers != self.answers);
        if read {
            self.heard = now;
        }
        self.phase = match self.phase {
            // What has been answered but not been taken yet, is not over.
            _ if state.is_answering() || state.blocked_at().is_some() => Phase::Busy,
            Phase::Uploading { since } if state.is_uploading() && !read => Phase::Uploading { since },
            _ if state.is_uploading() => Phase::Uploading { since: now },
            Phase::Busy | Phase::Uploading { .. } => Phase::Idle {
                since: now,
                ended: now,
            },
            _ if requests != self.requests => Phase::Idle {
                since: now,
                ended: now,
            },
            Phase::Idle { .. } if version == Version::Http1 && read => Phase::Head { since: now },
            // An HTTP/2 stream is over when its answer has been handed over; what the peer's window holds back is still to be sent. But not for ever.
            Phase::Idle { ended, .. } if answered && now.duration_since(ended) < timeouts.write_stall => {
                Phase::Idle { since: now, ended }
            }
            same => same,
        };
        (self.requests, self.reads, self.answers) = (requests, reads, answers);
        self.stall = match (state.blocked_at(), self.stall) {
            (None, _) => None,
            (Some(writes), Some((since, then))) if writes == then => Some((since, then)),
            (Some(writes), _) => Some((now, writes)),
        };
    }

    /// What's due next, and when. Who has been `told` to end, has been idle for long enough already: it's given the time to do so.
    pub(super) fn due(&self, timeouts: &Timeouts, told: bool) -> Option<(Instant, Due)> {
        let phase = match self.phase {
            Phase::Head { since } => since.checked_add(timeouts.head).map(|at| (at, Due::Head)),
            Phase::Idle { .. } if told => None,
            Phase::Idle { since, .. } => since.checked_add(timeouts.keep_alive).map(|at| (at, Due::Idle)),
            Phase::Uploading { since } => since.checked_add(timeouts.body_gap).map(|at| (at, Due::Idle)),
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

    /// Since when nothing has been asked or answered, if so.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle { since, .. } => Some(since),
            _ => None,
        }
    }

    pub(super) fn heard_since(&self, then: Instant) -> bool {
        self.heard > then
    }

    #[cfg(feature = "http1")]
    pub(super) fn awaits_head(&self) -> bool {
        matches!(self.phase, Phase::Head { .. })
    }
}
