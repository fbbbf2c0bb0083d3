//! What an HTTP connection is waiting for, and how long it may.
use super::detect::Version;
use crate::{
    config::Timeouts,
    engine::{ConnState, turn::Turn},
};
use std::time::{Duration, Instant};

/// Follows a connection from request to request by what it counts, without being told.
#[derive(Debug)]
pub(super) struct Rhythm {
    phase: Phase,
    requests: u32,
    reads: u32,
    answers: u32,
    /// When the peer was last heard of.
    heard: Instant,
    /// The peer takes nothing.
    stall: Option<Stall>,
}

/// Writes are pending.
#[derive(Clone, Copy, Debug)]
struct Stall {
    /// Since when the peer has taken nothing.
    since: Instant,
    /// How much had been written by then.
    writes: u32,
    /// When it was last looked whether a stream that buffers has sent something.
    looked: Instant,
}

/// How often it is looked, while the peer may take nothing.
const LOOKS: u32 = 16;

/// What is over at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer owes a head.
    Head,
    /// It has been idle for too long.
    Idle,
    /// It has been idle for so long that its buffers are better given back.
    Sleep,
    /// It's to be looked at whether it's idle.
    Look,
    /// It's to be looked at whether it's in the middle of a head that came together with the request before.
    Search,
    /// It reads nothing.
    Stall,
    /// It is to be looked whether a stream that buffers has sent something, although no write succeeded.
    Progress,
    /// The server drains, and it has owed the rest of a head, or of a body, for as long as it may then.
    Drain,
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
    /// Nothing is asked and nothing is answered.
    Idle(Idle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Idle {
    /// Since the end of what was asked, or since the last of it was sent.
    since: Instant,
    ended: Instant,
    trust: Trust,
}

/// How far an idle connection's times can be trusted. A request that's answered at once doesn't read the clock, so a busy connection is looked at
/// now and then instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// They're right, and nothing has been asked since. That may change without the clock being read.
    Fresh,
    /// Something has been asked since, and answered.
    Stale,
    /// They're right. Whatever is asked from now on reads the clock.
    Settled,
    /// As settled, and there's no head that has begun.
    Searched,
}

impl Due {
    /// Whether it is the peer that is late: it may have been in time for what this process saw too late.
    pub(super) fn blames_peer(self) -> bool {
        match self {
            Self::Head | Self::Idle | Self::Stall | Self::Quiet | Self::Drain => true,
            Self::Sleep | Self::Look | Self::Search | Self::Progress | Self::Old => false,
        }
    }
}

impl Idle {
    fn since(now: Instant) -> Phase {
        Phase::Idle(Self {
            since: now,
            ended: now,
            trust: Trust::Fresh,
        })
    }
}

impl Rhythm {
    /// A connection that owes a head since then.
    pub(super) fn new(now: Instant, since: Instant) -> Self {
        Self {
            phase: Phase::Head { since },
            requests: 0,
            reads: 0,
            answers: 0,
            heard: now,
            stall: None,
        }
    }

    /// An HTTP/2 connection may be opened before it's needed: it owes nothing.
    pub(super) fn no_head_owed(&mut self, now: Instant) {
        self.phase = Idle::since(now);
    }

    /// Notes that nothing happened for which the clock is needed, if so: a request is being answered and the peer takes what it's sent, or all that
    /// was asked has been answered already, as before.
    pub(super) fn observe_carefree(&mut self, state: &ConnState, turn: Turn) -> bool {
        if state.is_blocked() {
            return false;
        }
        if turn.is_open() || state.has_parts() {
            self.phase = Phase::Busy;
            self.stall = None;
            return true;
        }
        match &mut self.phase {
            Phase::Idle(idle)
                if matches!(idle.trust, Trust::Fresh | Trust::Stale)
                    && turn.begun != self.requests
                    && self.stall.is_none()
                    && !state.is_being_read() =>
            {
                idle.trust = Trust::Stale;
                (self.requests, self.reads, self.answers) = (turn.begun, state.reads(), state.large_writes());
                true
            }
            _ => false,
        }
    }

    /// Sees how things stand after the connection was polled as far as it went.
    pub(super) fn observe(
        &mut self,
        state: &ConnState,
        turn: Turn,
        version: Version,
        timeouts: &Timeouts,
        now: Instant,
    ) {
        let (requests, reads, answers) = (turn.begun, state.reads(), state.large_writes());
        let (read, answered) = (reads != self.reads, answers != self.answers);
        if read {
            self.heard = now;
        }
        self.phase = match self.phase {
            // What has been answered but not been taken yet, is not over.
            _ if turn.is_open() || state.has_parts() || state.is_blocked() => Phase::Busy,
            Phase::Uploading { since } if state.is_being_read() && !read => Phase::Uploading { since },
            _ if state.is_being_read() => Phase::Uploading { since: now },
            Phase::Busy | Phase::Uploading { .. } => Idle::since(now),
            _ if requests != self.requests => Idle::since(now),
            Phase::Idle(_) if version == Version::Http1 && read => Phase::Head { since: now },
            Phase::Idle(idle) if idle.trust == Trust::Stale => Idle::since(now),
            // An HTTP/2 stream is over when its answer has been handed over; what the peer's window holds back is still to be sent. But not for ever.
            Phase::Idle(Idle { ended, trust, .. })
                if answered && now.duration_since(ended) < timeouts.write_stall =>
            {
                Phase::Idle(Idle {
                    since: now,
                    ended,
                    trust,
                })
            }
            same => same,
        };
        (self.requests, self.reads, self.answers) = (requests, reads, answers);
        self.stall = match (state.blocked_at(), self.stall) {
            (None, _) => None,
            (Some(writes), Some(stall)) if writes == stall.writes => Some(stall),
            (Some(writes), _) => Some(Stall {
                since: now,
                writes,
                looked: now,
            }),
        };
    }

    /// The connection has been polled when it was time to look for progress.
    pub(super) fn looked_for_progress(&mut self, now: Instant) {
        if let Some(stall) = &mut self.stall {
            stall.looked = now;
        }
    }

    /// Since when the peer has owed the rest of what it began, if it does.
    pub(super) fn owed_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Head { since } | Phase::Uploading { since } => Some(since),
            Phase::Busy | Phase::Idle(_) => None,
        }
    }

    /// Nothing has been asked for a while: the times of an idle connection are right, and stay so.
    pub(super) fn settle(&mut self) {
        if let Phase::Idle(idle) = &mut self.phase {
            idle.trust = Trust::Settled;
        }
    }

    /// Nothing has been begun either.
    pub(super) fn searched(&mut self) {
        if let Phase::Idle(idle) = &mut self.phase {
            idle.trust = Trust::Searched;
        }
    }

    /// What's due next, and when. Who has been `told` to end, has been idle for long enough already: it's given the time to do so.
    /// `sleep`: how long it's idle before it gives its buffers back, if it can. It does so at the end of its keep-alive time at the latest: only who
    /// takes it from hyper sees whether it's idle.
    pub(super) fn due(
        &self,
        timeouts: &Timeouts,
        sleep: Option<Duration>,
        told: bool,
    ) -> Option<(Instant, Due)> {
        let after = |since: Instant, wait: Duration, due| since.checked_add(wait).map(|at| (at, due));
        let phase = match self.phase {
            Phase::Head { since } => after(since, timeouts.head, Due::Head),
            Phase::Idle(_) if told => None,
            Phase::Idle(Idle { since, trust, .. }) => {
                let (search, end, due) = match sleep {
                    Some(sleep) => (timeouts.head, sleep.min(timeouts.keep_alive), Due::Sleep),
                    None => (Duration::MAX, timeouts.keep_alive, Due::Idle),
                };
                // A deadline that's a little late because of it, is late by a small part.
                let look = search.min(end).min(LONGEST_LOOK).min(timeouts.keep_alive / 16);
                match trust {
                    Trust::Fresh | Trust::Stale => after(since, look, Due::Look),
                    Trust::Settled if search < end => after(since, search, Due::Search),
                    Trust::Settled | Trust::Searched => after(since, end, due),
                }
            }
            Phase::Uploading { since } => after(since, timeouts.body_gap, Due::Idle),
            Phase::Busy => None,
        };
        let stall = self
            .stall
            .and_then(|stall| after(stall.since, timeouts.write_stall, Due::Stall));
        // None either, if it may take for ever.
        let look = stall
            .and(self.stall)
            .and_then(|stall| after(stall.looked, timeouts.write_stall / LOOKS, Due::Progress));
        // Of two at the same time, the first one: what is over is not looked at.
        phase
            .into_iter()
            .chain(stall)
            .chain(look)
            .min_by_key(|(at, _)| *at)
    }

    /// Since when nothing has been asked or answered, if so.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle(idle) => Some(idle.since),
            _ => None,
        }
    }

    /// A head has begun to arrive in one read with the request before it: it has been owed since then. If more of it comes before that's found, it's owed
    /// since it came, so such a head may take twice its time.
    pub(super) fn owe_head(&mut self) {
        if let Phase::Idle(idle) = self.phase {
            self.phase = Phase::Head { since: idle.since };
        }
    }

    pub(super) fn heard_since(&self, then: Instant) -> bool {
        self.heard > then
    }
}

/// How long a connection that answers request after request goes without a look at the clock at the most.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
