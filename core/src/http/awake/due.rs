//! What's due next on a connection that's awake.
use super::{Awake, LAST_CALL, SOONER};
use crate::{
    app::App,
    engine::{ConnState, Stage},
    http::{SpawnStreams, Streams, detect::Version, rhythm::Due},
    transport::Connection,
};
use std::time::{Duration, Instant};

impl<C, A, R> Awake<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// Whether the connection has to end in a drain, and not only after what it's doing.
    pub(super) fn has_to_end(&self, state: &ConnState) -> bool {
        let stage = state.stage();
        if stage == Stage::Serving || self.told.is_some() {
            return false;
        }
        match self.speaks.version() {
            // Not in the middle of a head, nor of an answer, behind which one may have begun: that would lose a request. Answers say that they're the last.
            Version::Http1 => stage >= Stage::Closing && self.rhythm.quiet_since().is_some(),
            // It has a word of its own for it, and goes on.
            Version::Http2 => true,
        }
    }

    /// What's due next, and when.
    pub(super) fn due(&self, state: &ConnState) -> Option<(Instant, Due)> {
        let config = state.config();
        let timeouts = &config.timeouts;
        let other = match (self.told, self.old) {
            // HTTP/2 asks the peer for a sign of life. If there's none, it's gone, and would hold up the drain. If there's one, the connection
            // ends when the peer has taken what there's for it.
            (Some(told), _) => {
                let wait = match self.rhythm.heard_since(told) {
                    true => timeouts.write_stall,
                    false if state.stage() == Stage::Serving => LAST_CALL,
                    false => state.worker.lame_duck(),
                };
                self.quiet_for(told, wait)
            }
            // A request that's on its way already is answered, and told.
            (None, Some(old)) => self.quiet_for(old, LAST_CALL),
            (None, None) => state
                .accepted_at
                .checked_add(timeouts.age)
                .map(|at| (at, Due::Old)),
        };
        let sleep = match config.http.hibernate_after {
            // It's about to end.
            _ if self.old.is_some() => Duration::MAX,
            after if after == Duration::MAX || self.lively || self.turn.begun > 1 => after,
            after => after / SOONER,
        };
        let sleeps = self.speaks.version() == Version::Http1 && !self.speaks.was_offered_an_upgrade();
        let usual = self
            .rhythm
            .due(timeouts, sleeps.then_some(sleep), self.told.is_some());
        let owed = self.rhythm.owed_since();
        let drain = owed.and_then(|since| Some((state.worker.drain_deadline(since)?, Due::Drain)));
        usual
            .into_iter()
            .chain(other)
            .chain(drain)
            .min_by_key(|(at, _)| *at)
    }

    /// When nothing will have been asked or answered for so long since then, if it's idle.
    fn quiet_for(&self, since: Instant, wait: Duration) -> Option<(Instant, Due)> {
        let quiet = self.rhythm.quiet_since()?;
        Some((quiet.max(since).checked_add(wait)?, Due::Quiet))
    }
}
