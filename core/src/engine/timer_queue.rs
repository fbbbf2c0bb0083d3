//! The deadlines of all connections of a worker in one queue. A connection needs no timer of its
//! own; the worker has one for all.
use std::{collections::BTreeSet, time::Instant};

/// Deadlines, each with the key of its connection.
#[derive(Debug, Default)]
pub(super) struct TimerQueue {
    queue: BTreeSet<(Instant, u32)>,
    /// When the worker's timer fires.
    timer: Option<Instant>,
}

impl TimerQueue {
    /// Moves a connection from one deadline to another. `true`: the worker's timer would be too
    /// late.
    #[must_use]
    pub(super) fn replace(&mut self, key: u32, old: Option<Instant>, new: Option<Instant>) -> bool {
        if let Some(old) = old {
            self.queue.remove(&(old, key));
        }
        let Some(new) = new else { return false };
        self.queue.insert((new, key));
        self.timer.is_none_or(|timer| new < timer)
    }

    /// Removes a connection whose deadline has passed.
    pub(super) fn pop(&mut self, now: Instant) -> Option<u32> {
        let (at, _) = self.queue.first()?;
        if *at > now {
            return None;
        }
        self.queue.pop_first().map(|(_, key)| key)
    }

    /// The time that the caller has to set the worker's timer to.
    pub(super) fn next(&mut self) -> Option<Instant> {
        self.timer = self.queue.first().map(|(at, _)| *at);
        self.timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn connections_are_woken_in_order_of_deadlines() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut deadlines = TimerQueue::default();
        assert!(
            deadlines.replace(1, None, Some(at(20))),
            "there was no timer"
        );
        assert_eq!(deadlines.next(), Some(at(20)));
        assert!(
            !deadlines.replace(2, None, Some(at(30))),
            "the timer is early enough"
        );
        assert!(
            deadlines.replace(3, None, Some(at(10))),
            "the timer is too late"
        );
        assert_eq!(deadlines.pop(at(9)), None);
        assert_eq!(deadlines.pop(at(10)), Some(3));
        assert!(!deadlines.replace(1, Some(at(20)), Some(at(40))));
        assert_eq!(
            (deadlines.pop(at(50)), deadlines.pop(at(50))),
            (Some(2), Some(1))
        );
        assert_eq!((deadlines.pop(at(50)), deadlines.next()), (None, None));
    }
}
