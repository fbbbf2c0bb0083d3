//! How long answers took, in a histogram whose size doesn't depend on their number.

use hdrhistogram::Histogram;
use std::time::Duration;

/// Every value is kept to a thousandth of itself, up to ten minutes; what's longer counts as ten minutes. About 250 KiB.
#[derive(Clone, Debug)]
pub struct Latency {
    nanoseconds: Histogram<u64>,
}

impl Latency {
    const LONGEST: Duration = Duration::from_secs(600);
    const SIGNIFICANT_DIGITS: u8 = 3;

    /// Without any value.
    ///
    /// # Panics
    ///
    /// Never: the bounds are good ones.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the bounds are constants")]
    pub fn new() -> Self {
        let longest = Self::LONGEST.as_nanos() as u64;
        let nanoseconds = Histogram::new_with_bounds(1, longest, Self::SIGNIFICANT_DIGITS);
        Self {
            nanoseconds: nanoseconds.expect("the bounds are good ones"),
        }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.saturating_record(nanoseconds);
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: &Self) {
        // Never fails: their bounds are the same.
        let _ = self.nanoseconds.add(&other.nanoseconds);
    }

    /// All of it, in nanoseconds.
    #[must_use]
    pub fn histogram(&self) -> &Histogram<u64> {
        &self.nanoseconds
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.nanoseconds.len()
    }

    /// Whether there's none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nanoseconds.is_empty()
    }

    /// The value that `percent` of all are at most: 50.0 for the median, 99.9 for the slowest of a thousand. Zero without any value.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.nanoseconds.value_at_percentile(percent))
    }

    /// The share of values that are above this one, from 0 to 1. Zero without any value.
    #[must_use]
    pub fn share_above(&self, latency: Duration) -> f64 {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let within = self.nanoseconds.count_between(0, nanoseconds);
        match self.len() {
            0 => 0.0,
            all => all.saturating_sub(within) as f64 / all as f64,
        }
    }

    /// The shortest. Zero without any value.
    #[must_use]
    pub fn min(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.min())
    }

    /// The longest. Zero without any value.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.max())
    }

    /// The mean. Zero without any value.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.mean() as u64)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}
