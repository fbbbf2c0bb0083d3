//! The deadlines of a connection: which one is next, and what it means that it's over.
use super::{Action, CLOSE_DELAY, Idle, Machine, Precision, Rules, Seen, State};
use crate::{engine::Stage, http::detect::Version, observe::TimedOut};
use std::time::{Duration, Instant};

/// What is over at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The peer owes a head.
    Head,
    /// The server drains, and the peer hasn't spoken yet.
    Silent,
    /// It has been idle for too long.
    Idle,
    /// It has been idle for so long that its buffers are better given back.
    Hibernate,
    /// It's to be checked_at at whether it's idle.
    Check,
    /// It's to be checked_at at whether it's in the middle of a head that came together with the
    /// request before.
    Probe,
    /// It reads nothing.
    WriteStall,
    /// It is to be checked_at whether a stream that buffers has sent something, although no write
    /// succeeded.
    Progress,
    /// The server drains, and it has owed the rest of a head, or of a body, for as long as it may
    /// then.
    Drain,
    /// It's to end, and has said nothing for long enough.
    Quiet,
    /// It has reached the age at which it's to end.
    Age,
    /// It has reached that hibernating, and no request was on its way.
    CloseDelay,
}

/// After its only request, a connection hibernates so many times sooner, so that a burst of one-off
/// clients does not hold buffers. If it is resumed again before the full time, it gets the full time
/// from then on.
const FIRST_REQUEST_DIVISOR: u32 = 40;

/// How long a connection that answers request after request goes without a look at the clock at the
/// most.
const LONGEST_CHECK: Duration = Duration::from_secs(1);

/// How often it is checked_at, while the peer may take nothing.
const PROGRESS_CHECKS: u32 = 16;

/// A deadline and what's over then.
type Deadline = Option<(Instant, Due)>;

impl Due {
    /// Whether the peer is late. It may have been in time, if this process stood still and saw its
    /// bytes too late.
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
    /// What's due next, and when. Of two at the same time, the first one: what is over is not
    /// checked_at at.
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
            State::Hibernating { since } if self.old.is_none() => {
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
                // It can_hibernate at the end of its keep-alive time at the latest: only who takes it from
                // hyper sees whether it's idle.
                let (probe, end, due) = match can_hibernate {
                    true => (
                        timeouts.head,
                        self.hibernate_delay(rules).min(timeouts.keep_alive),
                        Due::Hibernate,
                    ),
                    false => (Duration::MAX, timeouts.keep_alive, Due::Idle),
                };
                // A deadline that's a little late because of it, is late by a small part.
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

    /// How long it is idle before it hibernates.
    fn hibernate_delay(&self, rules: &Rules<'_>) -> Duration {
        match rules.hibernate_after {
            // It's about to end.
            _ if self.old.is_some() => Duration::MAX,
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
        // None either, if it may take for ever.
        self.due_by_stall(rules)?;
        after(
            self.stall?.checked_at,
            rules.timeouts.write_stall / PROGRESS_CHECKS,
            Due::Progress,
        )
    }

    fn due_by_age(&self, rules: &Rules<'_>) -> Deadline {
        match (self.state, self.shut_down_since, self.old) {
            (State::First { .. } | State::Closing { .. }, ..) => None,
            // HTTP/2 asks the peer for a sign of life. If there's none, it's gone, and would hold
            // up the drain. If there's one, the connection ends when the peer has taken what
            // there's for it.
            (_, Some(shut_down_since), _) => {
                let wait = match (self.last_read_at > shut_down_since, rules.drain) {
                    (true, _) => rules.timeouts.write_stall,
                    (false, Some(drain)) => drain.lame_duck,
                    (false, None) => CLOSE_DELAY,
                };
                self.quiet_for(shut_down_since, wait)
            }
            // A request that is on its way already is answered, and its response tells the peer to
            // leave.
            (State::Hibernating { since }, None, Some(_)) => {
                after(since, CLOSE_DELAY, Due::CloseDelay)
            }
            (_, None, Some(old)) => self.quiet_for(old, CLOSE_DELAY),
            (_, None, None) => after(rules.accepted_at, rules.timeouts.age, Due::Age),
        }
    }

    /// When nothing will have been asked or answered for so long since then, if it's idle.
    fn quiet_for(&self, since: Instant, wait: Duration) -> Deadline {
        after(self.quiet_since()?.max(since), wait, Due::Quiet)
    }

    fn due_by_drain(&self, rules: &Rules<'_>) -> Deadline {
        let drain = rules.drain?;
        match self.state {
            // One that has never spoken may be silent for as long as the lame duck stage lasts,
            // since it was accepted.
            State::First { begun: false, .. } if rules.stage >= Stage::Closing => {
                after(rules.accepted_at, drain.lame_duck, Due::Silent)
            }
            State::First { since, begun: true }
            | State::ReadingHead { since }
            | State::ReadingBody { since } => Some((drain.deadline(since)?, Due::Drain)),
            _ => None,
        }
    }

    /// What it means that this is over.
    pub(super) fn fall_due(&mut self, due: Due, seen: &Seen, now: Instant) -> Action {
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
            // An old one ends hibernating.
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
        self.old = Some(now);
        if let State::Hibernating { since } = &mut self.state {
            *since = now;
        }
        // HTTP/2 has a word of its own for it.
        let shut_down = seen.version == Version::Http2;
        self.shut_down_since = shut_down.then_some(now);
        Action::ReachAge { shut_down }
    }
}

fn after(since: Instant, wait: Duration, due: Due) -> Deadline {
    since.checked_add(wait).map(|at| (at, due))
}
