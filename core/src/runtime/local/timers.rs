//! The pending timers of a worker, in the order of their deadlines.
use std::{collections::BTreeMap, task::Waker, time::Instant};

/// The pending timers of a worker.
#[derive(Default)]
pub(super) struct Timers {
    queue: BTreeMap<Key, Waker>,
    last: u64,
}

/// A deadline, and a number that makes it unique.
pub(super) type Key = (Instant, u64);

impl Timers {
    /// A number that no other timer has.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Adds a timer, or replaces its waker. Returns the old waker.
    pub(super) fn insert(&mut self, key: Key, waker: Waker) -> Option<Waker> {
        self.queue.insert(key, waker)
    }

    pub(super) fn remove(&mut self, key: Key) -> Option<Waker> {
        self.queue.remove(&key)
    }

    /// The timer with the earliest deadline.
    pub(super) fn next(&self) -> Option<Key> {
        self.queue.first_key_value().map(|(key, _)| *key)
    }

    /// Removes a timer that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Waker> {
        let first = self.queue.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
