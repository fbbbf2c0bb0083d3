//! How much to ask, and what of it is left.

use crate::Patience;
use std::time::{Duration, Instant};

/// How much to ask.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Exactly so many requests, over all connections.
    Requests(u64),
    /// As many as there's time for; those in flight at its end are still answered, and counted.
    For(Duration),
}

/// What may still be sent.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
    end: Option<Instant>,
    patience: Patience,
}

impl Budget {
    pub(crate) fn new(amount: Amount, patience: &Patience) -> Self {
        let (left, end) = match amount {
            Amount::Requests(requests) => (requests, None),
            Amount::For(duration) => (u64::MAX, Some(Instant::now() + duration)),
        };
        Self {
            left,
            end,
            patience: patience.clone(),
        }
    }

    /// Takes up to `wanted` of what's left.
    pub(crate) fn take(&mut self, wanted: usize) -> usize {
        let taken = self.left.min(wanted as u64);
        self.left -= taken;
        taken as usize
    }

    pub(crate) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Whether time is over. The clock is read once for all that's ready, not once per request.
    pub(crate) fn look_at(&mut self, now: Instant) {
        if self.end.is_some_and(|end| now >= end) || self.patience.is_over() {
            self.left = 0;
        }
    }
}
