//! The deadlines of a connection: which one is next, and what it means that it's over.
use super::{Action, Idle, LAST_CALL, Machine, Rules, Seen, State, Trust};
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
    /// It has reached that asleep, and no request was on its way.
    LastCall,
}

/// A connection that asked once falls asleep so many times sooner than one that asks again and again: of many that ask now and then, few are awake. Who is
/// woken by it too soon, is lively from then on.
const SOONER: u32 = 40;

/// How long a connection that answers request after request goes without a look at the clock at the most.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How often it is looked, while the peer may take nothing.
const LOOKS: u32 = 16;

/// A deadline and what's over then.
type Deadline = Option<(Instant, Due)>;

impl Due {
    /// Whether it is the peer that is late: it may have been in time for what this process saw too late.
    pub(super) fn blames_peer(self) -> bool {
        match self {
            Self::Head | Self::Idle | Self::Stall | Self::Quiet | Self::Drain => true,
            Self::Silent
            | Self::Sleep
            | Self::Look
            | Self::Search
            | Self::Progress
            | Self::Old
            | Self::LastCall => false,
        }
    }
}

impl Machine {
    /// What's due next, and when. Of two at the same time, the first one: what is over is not looked at.
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
            State::First { since, .. } | State::Leaving { since } | State::Head { since } => {
                after(since, timeouts.head, Due::Head)
            }
            State::Asleep { since } if self.old.is_none() => after(since, timeouts.keep_alive, Due::Idle),
            State::Asleep { .. } | State::Busy => None,
            State::Uploading { since } => after(since, timeouts.body_gap, Due::Idle),
            // Who has been told to end, has been idle for long enough already: it's given the time to do so.
            State::Idle(_) if self.told.is_some() => None,
            State::Idle(Idle { since, trust, .. }) => {
                let sleeps = seen.version == Version::Http1 && !seen.was_offered_an_upgrade;
                // It sleeps at the end of its keep-alive time at the latest: only who takes it from hyper sees whether it's idle.
                let (search, end, due) = match sleeps {
                    true => (
                        timeouts.head,
                        self.sleep_after(rules).min(timeouts.keep_alive),
                        Due::Sleep,
                    ),
                    false => (Duration::MAX, timeouts.keep_alive, Due::Idle),
                };
                // A deadline that's a little late because of it, is late by a small part.
                let look = search.min(end).min(LONGEST_LOOK).min(timeouts.keep_alive / 16);
                match trust {
                    Trust::Fresh | Trust::Stale => after(since, look, Due::Look),
                    Trust::Settled if search < end => after(since, search, Due::Search),
                    Trust::Settled | Trust::Searched => after(since, end, due),
                }
            }
        }
    }

    /// How long it's idle before it gives its buffers back.
    fn sleep_after(&self, rules: &Rules<'_>) -> Duration {
        match rules.hibernate_after {
            // It's about to end.
            _ if self.old.is_some() => Duration::MAX,
            after if after == Duration::MAX || self.lively || self.counts.requests > 1 => after,
            after => after / SOONER,
        }
    }

    fn due_by_stall(&self, rules: &Rules<'_>) -> Deadline {
        after(self.stall?.since, rules.timeouts.write_stall, Due::Stall)
    }

    fn due_by_progress(&self, rules: &Rules<'_>) -> Deadline {
        // None either, if it may take for ever.
        self.due_by_stall(rules)?;
        after(
            self.stall?.looked,
            rules.timeouts.write_stall / LOOKS,
            Due::Progress,
        )
    }

    fn due_by_age(&self, rules: &Rules<'_>) -> Deadline {
        match (self.state, self.told, self.old) {
            (State::First { .. } | State::Leaving { .. }, ..) => None,
            // HTTP/2 asks the peer for a sign of life. If there's none, it's gone, and would hold up the drain. If there's one, the connection
            // ends when the peer has taken what there's for it.
            (_, Some(told), _) => {
                let wait = match (self.heard > told, rules.drain) {
                    (true, _) => rules.timeouts.write_stall,
                    (false, Some(drain)) => drain.lame_duck,
                    (false, None) => LAST_CALL,
                };
                self.quiet_for(told, wait)
            }
            // A request that's on its way already is answered, and told.
            (State::Asleep { since }, None, Some(_)) => after(since, LAST_CALL, Due::LastCall),
            (_, None, Some(old)) => self.quiet_for(old, LAST_CALL),
            (_, None, None) => after(rules.accepted_at, rules.timeouts.age, Due::Old),
        }
    }

    /// When nothing will have been asked or answered for so long since then, if it's idle.
    fn quiet_for(&self, since: Instant, wait: Duration) -> Deadline {
        after(self.quiet_since()?.max(since), wait, Due::Quiet)
    }

    fn due_by_drain(&self, rules: &Rules<'_>) -> Deadline {
        let drain = rules.drain?;
        match self.state {
            // One that has never spoken may be silent for as long as the lame duck stage lasts, since it was accepted.
            State::First { begun: false, .. } if rules.stage >= Stage::Closing => {
                after(rules.accepted_at, drain.lame_duck, Due::Silent)
            }
            State::First { since, begun: true } | State::Head { since } | State::Uploading { since } => {
                Some((drain.deadline(since)?, Due::Drain))
            }
            _ => None,
        }
    }

    /// What it means that this is over.
    pub(super) fn fall_due(&mut self, due: Due, seen: &Seen, now: Instant) -> Action {
        let close = |why, stalled| Action::Close { why, stalled };
        match due {
            Due::Look => self.set_trust(Trust::Settled),
            Due::Progress => {
                if let Some(stall) = &mut self.stall {
                    stall.looked = now;
                }
                Action::GoOn
            }
            Due::Old => self.grow_old(seen, now),
            Due::Head => close(Some(TimedOut::Head), false),
            Due::Silent => close(None, false),
            Due::Drain => close(None, true),
            Due::Stall => Action::CutOff,
            Due::Idle | Due::Quiet if self.told.is_some() => close(None, false),
            Due::Idle => self.tell(Some(TimedOut::KeepAlive), now),
            Due::LastCall => self.tell(None, now),
            Due::Sleep | Due::Search | Due::Quiet if !seen.was_idle => Action::GoOn,
            Due::Search => Action::Search,
            // An old one ends asleep.
            Due::Sleep | Due::Quiet => self.fall_asleep(seen, now),
        }
    }

    fn set_trust(&mut self, trust: Trust) -> Action {
        if let State::Idle(idle) = &mut self.state {
            idle.trust = trust;
        }
        Action::GoOn
    }

    fn grow_old(&mut self, seen: &Seen, now: Instant) -> Action {
        self.old = Some(now);
        if let State::Asleep { since } = &mut self.state {
            *since = now;
        }
        // HTTP/2 has a word of its own for it.
        let tell = seen.version == Version::Http2;
        self.told = tell.then_some(now);
        Action::GrowOld { tell }
    }
}

fn after(since: Instant, wait: Duration, due: Due) -> Deadline {
    since.checked_add(wait).map(|at| (at, due))
}
