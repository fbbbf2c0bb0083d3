//! The waiters of an origin, in the order in which they came.
use super::WaiterId;
use std::collections::{HashSet, VecDeque};

/// A first-come queue whose waiters may leave from anywhere.
///
/// Who leaves is only marked, and skipped later, so that leaving costs the same in a long queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: VecDeque<WaiterId>,
    left: HashSet<u64>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiters.len() - self.left.len()
    }

    pub(super) fn push(&mut self, waiter: WaiterId) {
        self.waiters.push_back(waiter);
    }

    pub(super) fn pop(&mut self) -> Option<WaiterId> {
        loop {
            let waiter = self.waiters.pop_front()?;
            if !self.left.remove(&waiter.number) {
                return Some(waiter);
            }
        }
    }

    /// The waiter that `n` others are before.
    pub(super) fn nth(&self, n: usize) -> Option<WaiterId> {
        let waiting = self.waiters.iter();
        let mut waiting = waiting.filter(|waiter| !self.left.contains(&waiter.number));
        waiting.nth(n).copied()
    }

    /// `waiter` is in the queue, and leaves.
    pub(super) fn remove(&mut self, waiter: WaiterId) {
        self.left.insert(waiter.number);
        if self.left.len() > self.waiters.len() / 2 {
            let left = std::mem::take(&mut self.left);
            self.waiters.retain(|waiter| !left.contains(&waiter.number));
        }
    }
}
