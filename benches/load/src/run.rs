//! One run of a load: how much is requested, for how long it waits, and what it took.

use crate::Timeout;
use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

/// How much to request.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Exactly so many requests, over all connections.
    Requests(u64),
    /// As many as fit. Those in flight at the end are completed, and counted.
    For(Duration),
}

/// What requests something again and again.
pub trait Load {
    /// Runs for so long, and completes what was begun.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends, or the server sends nothing in time.
    fn run_for(&mut self, duration: Duration) -> anyhow::Result<Outcome>;

    /// How many clients had no response in time in any run since the last call. A server that
    /// serves only some clients is no faster for it.
    fn take_starved(&mut self) -> usize {
        0
    }
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Responses, connections that the server closed, or handshakes.
    pub count: u64,
    /// Per second, if that is not the count divided by the time.
    pub rate: Option<f64>,
    /// What the load took itself.
    pub cpu: CpuUse,
}

/// Time that passed, and CPU time of the load within it. A load that was always busy measured
/// itself, not the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuUse {
    /// From the start of a run to its last response.
    pub elapsed: Duration,
    /// User and kernel.
    pub cpu: Duration,
}

impl CpuUse {
    /// The share of the time in which the load ran, from 0 to 1.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        (self.cpu.as_secs_f64() / self.elapsed.as_secs_f64()).min(1.0)
    }

    pub(crate) fn measure() -> impl FnOnce() -> Self {
        let (start, cpu) = (Instant::now(), thread_time());
        move || Self {
            elapsed: start.elapsed(),
            cpu: thread_time().saturating_sub(cpu),
        }
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The state that the connections of a run share.
#[derive(Debug, Default)]
pub(crate) struct Run {
    left: AtomicU64,
    end: Option<Instant>,
    waiting: AtomicUsize,
    done: AtomicU64,
}

impl Run {
    pub(crate) fn new(amount: Amount) -> Arc<Self> {
        let (left, end) = match amount {
            Amount::Requests(requests) => (requests, None),
            Amount::For(duration) => (u64::MAX, Some(Instant::now() + duration)),
        };
        Arc::new(Self {
            left: AtomicU64::new(left),
            end,
            ..Self::default()
        })
    }

    /// Takes one request from the amount, if there is one left.
    pub(crate) fn begin(&self) -> bool {
        if self.is_over() {
            return false;
        }
        let left = self.left.load(Relaxed);
        self.left.store(left.saturating_sub(1), Relaxed);
        if left > 0 {
            self.waiting.fetch_add(1, Relaxed);
        }
        left > 0
    }

    pub(crate) fn finish(&self) {
        self.waiting.fetch_sub(1, Relaxed);
        self.done.fetch_add(1, Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// How many requests were completed.
    pub(crate) fn count(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// How many requests have no response.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

/// The runtime of all connections of a load.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot make a runtime")
}

/// Completes the work, unless `count` stays the same for too long.
pub(crate) async fn with_timeout<T>(
    timeout: &Timeout,
    count: impl Fn() -> u64,
    reason: impl Fn() -> String,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let watch = async {
        let (mut known, mut changed) = (count(), Instant::now());
        loop {
            timeout.check()?;
            sleep(Timeout::TICK).await;
            let now = count();
            if now != known {
                (known, changed) = (now, Instant::now());
            }
            let duration = timeout.duration;
            if changed.elapsed() >= duration {
                return Err(anyhow::anyhow!("{} for {duration:?}", reason()));
            }
        }
    };
    tokio::select! {
        biased;
        error = watch => error,
        done = work => done,
    }
}
