//! How long the accept loop waits after an error.
use crate::transport::AcceptErrorKind;
use std::time::{Duration, Instant};

/// How many errors in a row are handled by trying again at once.
const MOST_RETRIES: usize = 64;
/// The first wait after an error that needs one. It doubles each time, up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The errors since the last success, and the wait for the next try.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: usize,
    wait: Duration,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.wait) = (0, Duration::ZERO);
    }

    /// How to handle an error of this kind, and how long to [`pause`](Self::pause).
    pub(super) fn failed(&mut self, mut kind: AcceptErrorKind) -> (AcceptErrorKind, Duration) {
        self.failures += 1;
        // The error should have passed at once, but it persists.
        if kind == AcceptErrorKind::Retry && self.failures > MOST_RETRIES {
            kind = AcceptErrorKind::Backoff;
        }
        if kind != AcceptErrorKind::Backoff {
            return (kind, Duration::ZERO);
        }
        self.wait = (self.wait * 2).clamp(SHORTEST_WAIT, LONGEST_WAIT);
        (kind, self.wait)
    }

    /// Begins the wait.
    pub(super) fn pause(&mut self, now: Instant) {
        self.until = now.checked_add(self.wait);
    }

    /// The earliest time of the next accept.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn resume(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_second_until_an_accept() {
        let mut backoff = Backoff::default();
        let fails = |backoff: &mut Backoff| backoff.failed(AcceptErrorKind::Backoff).1.as_millis();
        let waits: Vec<_> = (0..10).map(|_| fails(&mut backoff)).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        let now = Instant::now();
        backoff.pause(now);
        assert_eq!(backoff.until(), Some(now + LONGEST_WAIT));
        backoff.succeeded();
        assert_eq!(fails(&mut backoff), 5);
    }

    #[test]
    fn error_that_persists_is_followed_by_a_pause() {
        let mut backoff = Backoff::default();
        for _ in 0..MOST_RETRIES {
            let retried = backoff.failed(AcceptErrorKind::Retry);
            assert_eq!(retried, (AcceptErrorKind::Retry, Duration::ZERO));
        }
        assert_eq!(backoff.until(), None);
        let (kind, wait) = backoff.failed(AcceptErrorKind::Retry);
        assert_eq!((kind, wait), (AcceptErrorKind::Backoff, SHORTEST_WAIT));
        assert_eq!(
            backoff.failed(AcceptErrorKind::Fatal).0,
            AcceptErrorKind::Fatal
        );
    }
}
