//! What the load itself took: if it had no time to wait, its own speed was measured, and not the
//! server's.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// Time that passed, and CPU time of the load's thread within it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effort {
    /// From the beginning of a run to its last answer.
    pub elapsed: Duration,
    /// User and kernel.
    pub cpu: Duration,
}

impl Effort {
    /// The share of the time in which the load's thread ran, from 0 to 1.
    #[must_use]
    pub fn busy(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        (self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()).min(1.0)
    }
}

/// Measures an [`Effort`].
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            begun: Instant::now(),
            cpu: thread_time(),
        }
    }

    pub(crate) fn read(&self) -> Effort {
        Effort {
            elapsed: self.begun.elapsed(),
            cpu: thread_time().saturating_sub(self.cpu),
        }
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
