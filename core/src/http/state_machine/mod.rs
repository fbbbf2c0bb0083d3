//! The state machine of an HTTP connection: what it waits for, how long it may, and what happens
//! then. It decides, and does no I/O.
//!
//! [`Machine::next`] takes the state, what was [`Seen`] after hyper was polled, the [`Rules`] and
//! the time. Its caller carries out the [`Action`]. The table in ARCHITECTURE.md is this file in
//! words; `tests.rs` holds each of its lines.
mod due;
#[cfg(test)]
mod tests;

use super::detect::Version;
use crate::{
    config::Timeouts,
    engine::{ConnState, DrainBound, Stage},
    observe::TimedOut,
};
use std::time::{Duration, Instant};

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its first bytes. `begun`: some have come, but not enough to tell the version.
    First { since: Instant, begun: bool },
    /// HTTP/1: it is idle, and hyper has been dropped.
    Hibernating { since: Instant },
    /// It sends its last bytes, without hyper.
    Closing { since: Instant },
    /// A head is expected, or has begun to arrive.
    ReadingHead { since: Instant },
    /// A request is being answered.
    Responding,
    /// A request has been answered, but its body is still being read. Since when nothing of it
    /// came.
    ReadingBody { since: Instant },
    /// Nothing is asked and nothing is answered.
    Idle(Idle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// Since the end of what was asked, or since the last of it was sent.
    since: Instant,
    ended: Instant,
    precision: Precision,
}

/// How far an idle connection's times can be trusted. A request that's answered at once doesn't
/// read the clock, so a busy connection is checked_at at now and then instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    /// They are right, and nothing has been asked since. That may change without the clock being
    /// read.
    Fresh,
    /// Something has been asked since, and answered.
    Stale,
    /// They are right, and whatever is asked from now on reads the clock.
    Exact,
    /// As `Exact`, and no head has begun.
    Probed,
}

/// A connection's state, and what else is remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    state: State,
    counts: Counts,
    /// When the peer was last last_read_at of.
    last_read_at: Instant,
    /// The peer takes nothing.
    stall: Option<Stall>,
    /// It was resumed from hibernation soon, so it keeps its buffers for the full time.
    recently_active: bool,
    /// When it reached the age at which it is to end.
    old: Option<Instant>,
    /// When hyper's graceful shutdown was requested.
    shut_down_since: Option<Instant>,
}

/// Writes are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stall {
    /// Since when the peer has taken nothing.
    since: Instant,
    /// How much had been written by then.
    writes: u32,
    /// When it was last checked_at whether a stream that buffers has sent something.
    checked_at: Instant,
}

/// How much there has been of what's counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u32,
    pub(super) reads: u32,
    /// Writes that are part of a response.
    pub(super) responses: u32,
}

/// What's seen of a connection that has gone on as far as it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) version: Version,
    pub(super) counts: Counts,
    /// A request is being answered.
    pub(super) is_answering: bool,
    /// A request's body is being read.
    pub(super) is_uploading: bool,
    /// How often something was written, if the peer takes nothing now.
    pub(super) blocked_at: Option<u32>,
    /// Hyper has had a turn after the latest request.
    pub(super) was_idle: bool,
    /// Hyper won't give the I/O object back.
    pub(super) was_offered_upgrade: bool,
}

/// What the server says of how long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub(super) timeouts: &'a Timeouts,
    pub(super) hibernate_after: Duration,
    pub(super) accepted_at: Instant,
    pub(super) stage: Stage,
    /// In a drain.
    pub(super) drain: Option<DrainBound>,
}

/// What's to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing to do until something happens, or until this time.
    Wait(Option<Instant>),
    /// Hyper is polled again.
    PollAgain,
    /// It is taken from hyper, and hibernates if it is idle.
    Hibernate,
    /// It is taken from hyper, searched for the beginning of a head, and given back.
    Probe,
    /// Hyper's graceful shutdown is requested. A hibernating connection is resumed for that.
    ShutDown(Option<TimedOut>),
    /// It has reached its age. Its peer is told with the next response, or by HTTP/2 at once
    /// (`shut_down`).
    ReachAge { shut_down: bool },
    /// It is closed in order. `stalled`: by a drain, because its peer was silent in the middle of
    /// something.
    Close {
        why: Option<TimedOut>,
        stalled: bool,
    },
    /// It is dropped: its peer takes nothing, and is owed nothing more.
    Abort,
}

/// How long an old connection may be idle before it's closed: its peer may have sent a request
/// already.
const CLOSE_DELAY: Duration = Duration::from_secs(1);

impl Machine {
    /// One in this state.
    pub(super) fn new(state: State, now: Instant) -> Self {
        Self {
            state,
            counts: Counts::default(),
            last_read_at: now,
            stall: None,
            recently_active: false,
            old: None,
            shut_down_since: None,
        }
    }

    /// A connection that speaks for the first time, and has owed a head since then. One of HTTP/2
    /// may be opened before it's needed: it owes nothing.
    pub(super) fn first(version: Version, since: Instant, now: Instant) -> Self {
        let state = match version {
            Version::Http1 => State::ReadingHead { since },
            Version::Http2 => Idle::since(now),
        };
        Self::new(state, now)
    }

    /// A connection that was hibernating and has sent something: it owes a head from now on.
    pub(super) fn resumed(
        idle_since: Instant,
        is_old: bool,
        hibernate_after: Duration,
        now: Instant,
    ) -> Self {
        Self {
            recently_active: now.saturating_duration_since(idle_since) < hibernate_after,
            old: is_old.then_some(now),
            ..Self::new(State::ReadingHead { since: now }, now)
        }
    }

    /// A connection that's hibernating.
    pub(super) fn hibernating(since: Instant, is_old: bool) -> Self {
        Self {
            old: is_old.then_some(since),
            ..Self::new(State::Hibernating { since }, since)
        }
    }

    /// What's to be done now. `late`: when the wait for a peer that was to be over at a time is
    /// over for whoever looks now.
    pub(super) fn next(
        &mut self,
        seen: &Seen,
        rules: &Rules<'_>,
        late: impl FnOnce(Instant) -> Instant,
        now: Instant,
    ) -> Action {
        self.observe(seen, rules.timeouts, now);
        if let Some(action) = self.drain(seen, rules.stage, now) {
            return action;
        }
        let due = self
            .due(seen, rules)
            .map(|(at, due)| match due.blames_peer() {
                true => (late(at), due),
                false => (at, due),
            });
        match due {
            Some((at, due)) if at <= now => self.fall_due(due, seen, now),
            due => Action::Wait(due.map(|(at, _)| at)),
        }
    }

    /// When something is due, for a connection that hyper doesn't serve: nothing is seen of it.
    pub(super) fn deadline(&self, rules: &Rules<'_>) -> Option<Instant> {
        self.due(&Seen::nothing(), rules).map(|(at, _)| at)
    }

    /// Sees how things stand.
    fn observe(&mut self, seen: &Seen, timeouts: &Timeouts, now: Instant) {
        let (requests, read, answered) = (
            seen.counts.requests != self.counts.requests,
            seen.counts.reads != self.counts.reads,
            seen.counts.responses != self.counts.responses,
        );
        if read {
            self.last_read_at = now;
        }
        self.state = match self.state {
            // What has been answered but not been taken yet, is not over.
            _ if seen.is_answering || seen.blocked_at.is_some() => State::Responding,
            State::ReadingBody { since } if seen.is_uploading && !read => {
                State::ReadingBody { since }
            }
            _ if seen.is_uploading => State::ReadingBody { since: now },
            State::Responding | State::ReadingBody { .. } => Idle::since(now),
            _ if requests => Idle::since(now),
            State::Idle(_) if seen.version == Version::Http1 && read => {
                State::ReadingHead { since: now }
            }
            State::Idle(idle) if idle.precision == Precision::Stale => Idle::since(now),
            // An HTTP/2 stream is over when its answer has been handed over; what the peer's window
            // holds back is still to be sent. But not for ever.
            State::Idle(idle)
                if answered && now.duration_since(idle.ended) < timeouts.write_stall =>
            {
                State::Idle(Idle { since: now, ..idle })
            }
            same => same,
        };
        self.counts = seen.counts;
        self.stall = match (seen.blocked_at, self.stall) {
            (None, _) => None,
            (Some(writes), Some(stall)) if writes == stall.writes => Some(stall),
            (Some(writes), _) => Some(Stall {
                since: now,
                writes,
                checked_at: now,
            }),
        };
    }

    /// What a drain asks of it at once.
    fn drain(&mut self, seen: &Seen, stage: Stage, now: Instant) -> Option<Action> {
        self.has_to_end(seen.version, stage)
            .then(|| match (self.state, seen.version) {
                // It may be in the middle of a head that came with the request before: only who
                // takes it from hyper sees that.
                (State::Idle(_), Version::Http1) if seen.was_idle => self.hibernate(seen, now),
                (State::Idle(_), Version::Http1) => Action::PollAgain,
                _ => self.shut_down(None, now),
            })
    }

    /// Whether a drain ends it, and not only after what it's doing.
    pub(super) fn has_to_end(&self, version: Version, stage: Stage) -> bool {
        if stage == Stage::Serving || self.shut_down_since.is_some() {
            return false;
        }
        match (self.state, version) {
            (State::First { .. } | State::Closing { .. }, _) => false,
            // Not in the middle of a head, nor of an answer, behind which one may have begun: that
            // would lose a request. Answers say that they're the last.
            (State::Hibernating { .. } | State::Idle(_), Version::Http1) => stage >= Stage::Closing,
            (_, Version::Http1) => false,
            // It has a word of its own for it, and goes on.
            (_, Version::Http2) => true,
        }
    }

    fn shut_down(&mut self, why: Option<TimedOut>, now: Instant) -> Action {
        self.shutdown_requested(now);
        Action::ShutDown(why)
    }

    fn hibernate(&mut self, seen: &Seen, now: Instant) -> Action {
        match seen.was_offered_upgrade {
            true => self.shut_down(None, now),
            false => Action::Hibernate,
        }
    }

    /// Since when nothing has been asked or answered, if so.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        match self.state {
            State::Idle(idle) => Some(idle.since),
            _ => None,
        }
    }

    /// A request is being answered, and nothing else is to be seen to: the clock isn't needed.
    #[inline(always)]
    pub(super) fn is_responding(&mut self) {
        self.state = State::Responding;
        self.stall = None;
    }

    /// Whether its times may get stale, now that something has been asked and answered: the clock
    /// isn't needed either.
    #[inline(always)]
    pub(super) fn may_become_stale(&self, requests: u32) -> bool {
        matches!(self.state, State::Idle(idle) if matches!(idle.precision, Precision::Fresh | Precision::Stale))
            && requests != self.counts.requests
            && self.stall.is_none()
    }

    /// They do.
    #[inline(always)]
    pub(super) fn mark_stale(&mut self, counts: Counts) {
        if let State::Idle(idle) = &mut self.state {
            idle.precision = Precision::Stale;
        }
        self.counts = counts;
    }

    /// Hyper's graceful shutdown has been requested.
    pub(super) fn shutdown_requested(&mut self, now: Instant) {
        self.shut_down_since = Some(now);
    }

    /// A connection that was taken from hyper is given back to it. `head`: a head had begun to
    /// arrive in one read with the request before it, and has been owed since that request. If more
    /// of it comes before it is found, it is owed since then, so such a head may take twice its
    /// time.
    pub(super) fn reattached(&mut self, head: bool) {
        self.shut_down_since = None;
        if let State::Idle(idle) = &mut self.state {
            match head {
                true => self.state = State::ReadingHead { since: idle.since },
                false => idle.precision = Precision::Probed,
            }
        }
    }
}

impl Idle {
    fn since(now: Instant) -> State {
        State::Idle(Self {
            since: now,
            ended: now,
            precision: Precision::Fresh,
        })
    }
}

impl Seen {
    /// Of a connection that's without hyper.
    pub(super) fn nothing() -> Self {
        Self {
            version: Version::Http1,
            counts: Counts::default(),
            is_answering: false,
            is_uploading: false,
            blocked_at: None,
            was_idle: true,
            was_offered_upgrade: false,
        }
    }
}

impl<'a> Rules<'a> {
    pub(super) fn of(state: &'a ConnState) -> Self {
        Self {
            timeouts: state.timeouts(),
            hibernate_after: state.config().http.hibernate_after,
            accepted_at: state.accepted_at,
            stage: state.stage(),
            drain: state.worker.drain_bound(),
        }
    }
}
