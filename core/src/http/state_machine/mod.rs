//! The state machine of an HTTP connection. It decides what the connection waits for, for how long,
//! and what happens then. It does no I/O.
//!
//! [`Machine::next`] takes the state, what was [`Seen`] after hyper was polled, the [`Rules`] and
//! the time. The caller carries out the [`Action`]. The tables in ARCHITECTURE.md describe this
//! machine, and `tests.rs` tests each of their rows.
mod due;
mod seen;
#[cfg(test)]
mod tests;

pub(super) use seen::{Counts, Rules, Seen};

use super::detect::Version;
use crate::{config::Timeouts, engine::Stage, observe::TimedOut};
use std::time::{Duration, Instant};

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its first bytes. `begun`: some have arrived, but not enough to tell the
    /// version.
    First { since: Instant, begun: bool },
    /// HTTP/1: it is idle, and hyper has been dropped.
    Hibernating { since: Instant },
    /// It sends its last bytes, without hyper.
    Closing { since: Instant },
    /// A head is expected, or has begun to arrive.
    ReadingHead { since: Instant },
    /// A response is being made or sent.
    Responding,
    /// The response has been sent, but the request's body is still being read. `since`: the last
    /// time that bytes of it arrived.
    ReadingBody { since: Instant },
    /// No request is in progress.
    Idle(Idle),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Idle {
    /// When the connection became idle: at `ended`, or later, when the last bytes of its last
    /// response were sent.
    since: Instant,
    /// When the last request ended.
    ended: Instant,
    precision: Precision,
}

/// How exact the times of an idle connection are. A request that is answered at once does not read
/// the clock, so the times of a busy connection are corrected at least once a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Precision {
    /// The times are exact, and no request has followed. A request may follow without reading the
    /// clock.
    Fresh,
    /// Requests have followed, and have been answered.
    Stale,
    /// The times are exact, and any request from now on reads the clock.
    Exact,
    /// The same as `Exact`, and no head has begun to arrive.
    Probed,
}

/// The state of a connection, and the facts from earlier polls that its deadlines need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    state: State,
    counts: Counts,
    /// When bytes were last read.
    last_read_at: Instant,
    /// Set while the client accepts no bytes.
    stall: Option<Stall>,
    /// The connection was resumed soon after it hibernated, so it keeps its buffers for the full
    /// time.
    recently_active: bool,
    /// When the connection reached its maximum age.
    reached_age_at: Option<Instant>,
    /// When hyper's graceful shutdown was requested.
    shut_down_since: Option<Instant>,
}

/// A write that the client does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stall {
    /// When the client last accepted bytes.
    since: Instant,
    /// The number of writes by then.
    writes: u32,
    /// When the write was last retried, and its progress checked.
    checked_at: Instant,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Wait for an event, or until this time.
    Wait(Option<Instant>),
    /// Poll hyper again.
    PollAgain,
    /// Take the connection from hyper; it hibernates if it is idle.
    Hibernate,
    /// Take the connection from hyper, look for the beginning of a head, and give the connection
    /// back to hyper.
    Probe,
    /// Request hyper's graceful shutdown. A hibernating connection is resumed for that.
    ShutDown(Option<TimedOut>),
    /// The connection has reached its maximum age. The next response says `Connection: close`. With
    /// HTTP/2, GOAWAY is sent at once (`shut_down`).
    ReachAge { shut_down: bool },
    /// Close gracefully. `stalled`: a drain closes the connection, because the client stopped in
    /// the middle of a request.
    Close {
        why: Option<TimedOut>,
        stalled: bool,
    },
    /// Drop the connection: the client accepts no bytes, so the rest is not sent.
    Abort,
}

/// How long a connection of maximum age stays open when idle: a request may already be in flight.
const CLOSE_DELAY: Duration = Duration::from_secs(1);

impl Machine {
    /// A machine in this state.
    pub(super) fn new(state: State, now: Instant) -> Self {
        Self {
            state,
            counts: Counts::default(),
            last_read_at: now,
            stall: None,
            recently_active: false,
            reached_age_at: None,
            shut_down_since: None,
        }
    }

    /// A connection that hyper serves for the first time. The head timeout runs from `since`.
    /// HTTP/2 connections may be opened ahead of need, so they have no head timeout.
    pub(super) fn first(version: Version, since: Instant, now: Instant) -> Self {
        let state = match version {
            Version::Http1 => State::ReadingHead { since },
            Version::Http2 => Idle::since(now),
        };
        Self::new(state, now)
    }

    /// A connection that was hibernating and has received bytes. The head timeout begins now.
    pub(super) fn resumed(
        idle_since: Instant,
        has_reached_age: bool,
        hibernate_after: Duration,
        now: Instant,
    ) -> Self {
        Self {
            recently_active: now.saturating_duration_since(idle_since) < hibernate_after,
            reached_age_at: has_reached_age.then_some(now),
            ..Self::new(State::ReadingHead { since: now }, now)
        }
    }

    /// A hibernating connection.
    pub(super) fn hibernating(since: Instant, has_reached_age: bool) -> Self {
        Self {
            reached_age_at: has_reached_age.then_some(since),
            ..Self::new(State::Hibernating { since }, since)
        }
    }

    /// Decides the action. `late` extends a timeout of the client if this process was paused.
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
            Some((at, due)) if at <= now => self.on_deadline(due, seen, now),
            due => Action::Wait(due.map(|(at, _)| at)),
        }
    }

    /// The next deadline of a connection without hyper.
    pub(super) fn deadline(&self, rules: &Rules<'_>) -> Option<Instant> {
        self.due(&Seen::nothing(), rules).map(|(at, _)| at)
    }

    /// Updates the state.
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
            // A response that the client has not accepted is not finished.
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
            // An HTTP/2 stream ends when its response has been handed to h2. Bytes that the
            // client's window holds back are sent later, for at most the write stall timeout.
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

    /// The action that a drain requires at once.
    fn drain(&mut self, seen: &Seen, stage: Stage, now: Instant) -> Option<Action> {
        self.has_to_end(seen.version, stage)
            .then(|| match (self.state, seen.version) {
                // A head may have arrived together with the previous request. Only taking the
                // connection from hyper shows that.
                (State::Idle(_), Version::Http1) if seen.was_idle => self.hibernate(seen, now),
                (State::Idle(_), Version::Http1) => Action::PollAgain,
                _ => self.shut_down(None, now),
            })
    }

    /// Whether the drain shuts the connection down now. HTTP/1 waits for the request in progress;
    /// HTTP/2 finishes its open streams after GOAWAY.
    pub(super) fn has_to_end(&self, version: Version, stage: Stage) -> bool {
        if stage == Stage::Serving || self.shut_down_since.is_some() {
            return false;
        }
        match (self.state, version) {
            (State::First { .. } | State::Closing { .. }, _) => false,
            // Not in the middle of a head or a response: a request may have begun to arrive, and
            // would be lost. Responses say `Connection: close`.
            (State::Hibernating { .. } | State::Idle(_), Version::Http1) => stage >= Stage::Closing,
            (_, Version::Http1) => false,
            // GOAWAY ends the connection after the streams that are open.
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

    /// When the connection became idle, if it is idle.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        match self.state {
            State::Idle(idle) => Some(idle.since),
            _ => None,
        }
    }

    /// Notes that a request is in progress and the client accepts bytes. The clock is not needed.
    #[inline(always)]
    pub(super) fn mark_responding(&mut self) {
        self.state = State::Responding;
        self.stall = None;
    }

    /// Whether the times may become stale: the connection was idle, and another request has been
    /// answered. If so, the clock is not needed.
    #[inline(always)]
    pub(super) fn may_become_stale(&self, requests: u32) -> bool {
        matches!(self.state, State::Idle(idle) if matches!(idle.precision, Precision::Fresh | Precision::Stale))
            && requests != self.counts.requests
            && self.stall.is_none()
    }

    /// Notes that the times are stale.
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

    /// A connection that was taken from hyper has been given back to it. `head`: a head began to
    /// arrive in the same read as the previous request. Its timeout runs from the time at which the
    /// connection became idle. Bytes of it that arrive before the probe begin the timeout again. So
    /// such a head may take up to twice the timeout.
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
