//! The connection limit: exact over all workers. A worker that only waits holds no permit.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Counts the open connections of a server against its limit.
#[derive(Debug)]
pub(crate) struct Permits {
    limit: usize,
    used: AtomicUsize,
    /// A worker stopped accepting because of the limit.
    starving: AtomicBool,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            starving: AtomicBool::new(false),
        }
    }

    /// Takes a permit, or returns `false`. Then some later [`release`](Self::release) returns
    /// `true`.
    pub(crate) fn acquire(&self) -> bool {
        // The second try: a permit that came back before `starving` was set woke no worker.
        self.try_acquire() || {
            self.starving.store(true, SeqCst);
            self.try_acquire()
        }
    }

    fn try_acquire(&self) -> bool {
        let more = |used| (used < self.limit).then_some(used + 1);
        self.used.fetch_update(SeqCst, SeqCst, more).is_ok()
    }

    /// Returns a permit. `true`: a worker waits for it and has to be woken.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        self.used.fetch_sub(1, SeqCst);
        self.starving.load(SeqCst) && self.starving.swap(false, SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_exact_and_release_reports_a_waiting_worker() {
        let permits = Permits::new(2);
        assert!(permits.acquire() && permits.acquire());
        assert!(!permits.acquire());
        assert!(permits.release(), "a worker waits");
        assert!(permits.acquire());
        assert!(!permits.release(), "no worker waits any more");
        assert_eq!(permits.used.load(SeqCst), 1);
    }
}
