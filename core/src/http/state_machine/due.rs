//! The deadlines of a connection: which one is next, and what happens then.
use super::{Action, CLOSE_DELAY, Idle, Machine, Precision, Rules, Seen, State};
use crate::{engine::Stage, http::detect::Version, observe::TimedOut};
use std::time::{Duration, Instant};

/// The reason for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The timeout of a head.
    Head,
    /// In a drain: the client has never sent anything.
    Silent,
    /// The keep-alive timeout, or the timeout for a gap in a body.
    Idle,
    /// The connection has been idle for long enough to free its buffers.
    Hibernate,
    /// Check whether the connection is idle.
    Check,
    /// Check whether a head has begun to arrive together with the previous request.
    Probe,
    /// The client has accepted no bytes for the write stall timeout.
    WriteStall,
    /// Retry the pending write, and check whether a stream that buffers has sent bytes.
    Progress,
    /// In a drain: the client has stopped in the middle of a head or a body for as long as allowed.
    Drain,
    /// The connection is shutting down, and has been quiet for long enough.
    Quiet,
    /// The maximum age.
    Age,
    /// The connection reached its maximum age while hibernating, and no request was in flight.
    CloseDelay,
}

/// After one request, a connection hibernates this many times earlier. So a burst of clients with
/// one request each holds no buffers. The full time applies to a request that came within the full
/// time of another.
const FIRST_REQUEST_DIVISOR: u32 = 40;

/// The longest time between two readings of the clock, on a busy connection.
const LONGEST_CHECK: Duration = Duration::from_secs(1);

/// How many times the progress is checked during the write stall timeout.
const PROGRESS_CHECKS: u32 = 16;

/// A deadline and what is due then.
type Deadline = Option<(Instant, Due)>;

impl Due {
    /// Whether the deadline is a timeout of the client. If this process was paused, the client's
    /// bytes may have arrived in time.
    pub(super) fn blames_peer(self) -> bool {
        match self {
            Self::Head | Self::Idle | Self::WriteStall | Self::Quiet | Self::Drain => true,
            Self::Silent
            | Self::Hibernate
            | Self::Check
            | Self::Probe
            | Self::Progress
            | Self::Age
            | Self::CloseDelay => false,
        }
    }
}

impl Machine {
    /// The next deadline. At equal times the first one in the list counts.
    pub(super) fn due(&self, seen: &Seen, rules: &Rules<'_>) -> Deadline {
        let all = [
            self.due_by_state(seen, rules),
            self.due_by_stall(rules),
            self.due_by_progress(rules),
            self.due_by_age(rules),
            self.due_by_drain(rules),
        ];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    fn due_by_state(&self, seen: &Seen, rules: &Rules<'_>) -> Deadline {
        let timeouts = rules.timeouts;
        match self.state {
            State::First { since, .. }
            | State::Closing { since }
            | State::ReadingHead { since } => after(since, timeouts.head, Due::Head),
            State::Hibernating { since } if self.reached_age_at.is_none() => {
                after(since, timeouts.keep_alive, Due::Idle)
            }
            State::Hibernating { .. } | State::Responding => None,
            State::ReadingBody { since } => after(since, timeouts.body_gap, Due::Idle),
            // A connection that is shutting down has no idle timeout.
            State::Idle(_) if self.shut_down_since.is_some() => None,
            State::Idle(Idle {
                since, precision, ..
            }) => {
                let can_hibernate = seen.version == Version::Http1 && !seen.was_offered_upgrade;
                // An HTTP/1 connection hibernates at the end of the keep-alive time at the latest:
                // only taking it from hyper shows whether it is idle.
                let (probe, end, due) = match can_hibernate {
                    true => (
                        timeouts.head,
                        self.hibernate_delay(rules).min(timeouts.keep_alive),
                        Due::Hibernate,
                    ),
                    false => (Duration::MAX, timeouts.keep_alive, Due::Idle),
                };
                // The check makes a deadline late by a small part of it at most.
                let check = probe
                    .min(end)
                    .min(LONGEST_CHECK)
                    .min(timeouts.keep_alive / 16);
                match precision {
                    Precision::Fresh | Precision::Stale => after(since, check, Due::Check),
                    Precision::Exact if probe < end => after(since, probe, Due::Probe),
                    Precision::Exact | Precision::Probed => after(since, end, due),
                }
            }
        }
    }

    /// How long the connection is idle before it hibernates.
    fn hibernate_delay(&self, rules: &Rules<'_>) -> Duration {
        match rules.hibernate_after {
            // The connection is about to close.
            _ if self.reached_age_at.is_some() => Duration::MAX,
            after if after == Duration::MAX || self.recently_active || self.counts.requests > 1 => {
                after
            }
            after => after / FIRST_REQUEST_DIVISOR,
        }
    }

    fn due_by_stall(&self, rules: &Rules<'_>) -> Deadline {
        after(
            self.stall?.since,
            rules.timeouts.write_stall,
            Due::WriteStall,
        )
    }

    fn due_by_progress(&self, rules: &Rules<'_>) -> Deadline {
        // Without a write stall timeout, progress is not checked.
        self.due_by_stall(rules)?;
        after(
            self.stall?.checked_at,
            rules.timeouts.write_stall / PROGRESS_CHECKS,
            Due::Progress,
        )
    }

    fn due_by_age(&self, rules: &Rules<'_>) -> Deadline {
        match (self.state, self.shut_down_since, self.reached_age_at) {
            (State::First { .. } | State::Closing { .. }, ..) => None,
            // HTTP/2: a PING follows GOAWAY. A client that does not answer it has disconnected, and
            // would delay the drain. For other clients, the connection ends when they have received
            // everything.
            (_, Some(shut_down_since), _) => {
                let wait = match (self.last_read_at > shut_down_since, rules.drain) {
                    (true, _) => rules.timeouts.write_stall,
                    (false, Some(drain)) => drain.lame_duck,
                    (false, None) => CLOSE_DELAY,
                };
                self.quiet_for(shut_down_since, wait)
            }
            // A request that is already in flight is answered, and its response says `Connection:
            // close`.
            (State::Hibernating { since }, None, Some(_)) => {
                after(since, CLOSE_DELAY, Due::CloseDelay)
            }
            (_, None, Some(reached_at)) => self.quiet_for(reached_at, CLOSE_DELAY),
            (_, None, None) => after(rules.accepted_at, rules.timeouts.age, Due::Age),
        }
    }

    /// When the connection will have been idle for `wait` since `since`, if it is idle.
    fn quiet_for(&self, since: Instant, wait: Duration) -> Deadline {
        after(self.idle_since()?.max(since), wait, Due::Quiet)
    }

    fn due_by_drain(&self, rules: &Rules<'_>) -> Deadline {
        let drain = rules.drain?;
        match self.state {
            // A connection that has never sent anything may stay for the lame duck stage, counted
            // from its accept.
            State::First { begun: false, .. } if rules.stage >= Stage::Closing => {
                after(rules.accepted_at, drain.lame_duck, Due::Silent)
            }
            State::First { since, begun: true }
            | State::ReadingHead { since }
            | State::ReadingBody { since } => Some((drain.deadline(since)?, Due::Drain)),
            _ => None,
        }
    }

    /// Changes the state for a deadline that has passed, and returns the action.
    pub(super) fn on_deadline(&mut self, due: Due, seen: &Seen, now: Instant) -> Action {
        let close = |why, stalled| Action::Close { why, stalled };
        match due {
            Due::Check => self.set_precision(Precision::Exact),
            Due::Progress => {
                if let Some(stall) = &mut self.stall {
                    stall.checked_at = now;
                }
                Action::PollAgain
            }
            Due::Age => self.reach_age(seen, now),
            Due::Head => close(Some(TimedOut::Head), false),
            Due::Silent => close(None, false),
            Due::Drain => close(None, true),
            Due::WriteStall => Action::Abort,
            Due::Idle | Due::Quiet if self.shut_down_since.is_some() => close(None, false),
            Due::Idle => self.shut_down(Some(TimedOut::KeepAlive), now),
            Due::CloseDelay => self.shut_down(None, now),
            Due::Hibernate | Due::Probe | Due::Quiet if !seen.was_idle => Action::PollAgain,
            Due::Probe => Action::Probe,
            // A connection of maximum age closes after hibernating.
            Due::Hibernate | Due::Quiet => self.hibernate(seen, now),
        }
    }

    fn set_precision(&mut self, precision: Precision) -> Action {
        if let State::Idle(idle) = &mut self.state {
            idle.precision = precision;
        }
        Action::PollAgain
    }

    fn reach_age(&mut self, seen: &Seen, now: Instant) -> Action {
        self.reached_age_at = Some(now);
        if let State::Hibernating { since } = &mut self.state {
            *since = now;
        }
        // HTTP/2 sends GOAWAY.
        let shut_down = seen.version == Version::Http2;
        self.shut_down_since = shut_down.then_some(now);
        Action::ReachAge { shut_down }
    }
}

fn after(since: Instant, wait: Duration, due: Due) -> Deadline {
    since.checked_add(wait).map(|at| (at, due))
}
