//! A connection at a point in time, and the actions that are expected of its machine.
use super::super::*;
use crate::engine::DrainBound;

/// A connection that was accepted an hour ago, on a worker of a server with round timeouts.
pub(super) struct Fixture {
    pub(super) start: Instant,
    pub(super) timeouts: Timeouts,
    pub(super) hibernate_after: Duration,
    pub(super) stage: Stage,
    pub(super) accepted_at: Instant,
    pub(super) drain: Option<u64>,
    pub(super) machine: Machine,
    pub(super) seen: Seen,
}

pub(super) const HOUR: u64 = 3_600_000;
pub(super) const HEAD: u64 = 30_000;
pub(super) const GAP: u64 = 20_000;
pub(super) const KEEP_ALIVE: u64 = 64_000;
pub(super) const STALL: u64 = 16_000;
pub(super) const HIBERNATE_AFTER: u64 = 40_000;
pub(super) const AGE: u64 = 2 * HOUR;
/// How long a client may stop in the middle of a request during a drain.
pub(super) const SHARE: u64 = 3_000;
pub(super) const LAME_DUCK: u64 = 500;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

impl Fixture {
    /// A connection that has been in this state since time 0, an hour after its accept. Times are
    /// in milliseconds.
    pub(super) fn new(state: impl FnOnce(Instant) -> State) -> Self {
        let start = Instant::now();
        let now = start + ms(HOUR);
        Self {
            start,
            timeouts: Timeouts::default()
                .with_head(ms(HEAD))
                .with_body_gap(ms(GAP))
                .with_keep_alive(ms(KEEP_ALIVE))
                .with_write_stall(ms(STALL))
                .with_age(ms(AGE)),
            hibernate_after: ms(HIBERNATE_AFTER),
            stage: Stage::Serving,
            accepted_at: start,
            drain: None,
            machine: Machine::new(state(now), now),
            seen: Seen::nothing(),
        }
    }

    pub(super) fn at(&self, n: u64) -> Instant {
        self.start + ms(HOUR + n)
    }

    /// A drain began at `since`, and has reached this stage.
    pub(super) fn draining(mut self, since: u64, stage: Stage) -> Self {
        (self.drain, self.stage) = (Some(since), stage);
        self
    }

    pub(super) fn http2(mut self) -> Self {
        self.seen.version = Version::Http2;
        self
    }

    pub(super) fn seen(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.seen);
        self
    }

    pub(super) fn machine(mut self, change: impl FnOnce(&mut Machine)) -> Self {
        change(&mut self.machine);
        self
    }

    pub(super) fn next(&mut self, now: u64) -> Action {
        self.next_late(now, |at| at)
    }

    pub(super) fn next_late(&mut self, now: u64, late: impl FnOnce(Instant) -> Instant) -> Action {
        let rules = Rules {
            timeouts: &self.timeouts,
            hibernate_after: self.hibernate_after,
            accepted_at: self.accepted_at,
            stage: self.stage,
            drain: self.drain.map(|since| DrainBound {
                begun: self.start + ms(HOUR + since),
                share: ms(SHARE),
                lame_duck: ms(LAME_DUCK),
            }),
        };
        let now = self.start + ms(HOUR + now);
        self.machine.next(&self.seen, &rules, late, now)
    }

    /// Expects an action at this time, and the state after it.
    #[track_caller]
    pub(super) fn expect(mut self, now: u64, until: u64, action: Action) -> Self {
        assert_eq!(
            self.next(now),
            Action::Wait(Some(self.at(until))),
            "at {now}"
        );
        if until > now {
            assert_eq!(
                self.next(until - 1),
                Action::Wait(Some(self.at(until))),
                "just before"
            );
        }
        assert_eq!(self.next(until), action, "at {until}");
        self
    }

    /// Expects an action at once.
    #[track_caller]
    pub(super) fn at_once(mut self, now: u64, action: Action) -> Self {
        assert_eq!(self.next(now), action);
        self
    }

    #[track_caller]
    pub(super) fn is(self, state: impl FnOnce(&Self) -> State) -> Self {
        assert_eq!(self.machine.state, state(&self));
        self
    }
}

pub(super) fn first(since: Instant) -> State {
    State::First {
        since,
        begun: false,
    }
}

pub(super) fn begun(since: Instant) -> State {
    State::First { since, begun: true }
}

pub(super) fn hibernating(since: Instant) -> State {
    State::Hibernating { since }
}

pub(super) fn closing(since: Instant) -> State {
    State::Closing { since }
}

pub(super) fn head(since: Instant) -> State {
    State::ReadingHead { since }
}

pub(super) fn responding(_: Instant) -> State {
    State::Responding
}

pub(super) fn uploading(since: Instant) -> State {
    State::ReadingBody { since }
}

pub(super) fn idle(precision: Precision) -> impl FnOnce(Instant) -> State {
    move |since| {
        State::Idle(Idle {
            since,
            ended: since,
            precision,
        })
    }
}

pub(super) const fn close(why: Option<TimedOut>) -> Action {
    Action::Close {
        why,
        stalled: false,
    }
}

pub(super) const STALLED: Action = Action::Close {
    why: None,
    stalled: true,
};
pub(super) const NO_HEAD: Action = close(Some(TimedOut::Head));
pub(super) const KEPT_ALIVE: Action = Action::ShutDown(Some(TimedOut::KeepAlive));

pub(super) fn reads(seen: &mut Seen) {
    seen.counts.reads += 1;
}

pub(super) fn receives_request(seen: &mut Seen) {
    seen.counts.requests += 1;
    seen.counts.reads += 1;
}
