//! A run of a load: how much is asked, who waits for it, and what it took.

use crate::Patience;
use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

/// How much to ask.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// Exactly so many requests, over all connections.
    Requests(u64),
    /// As many as there's time for; those in flight at its end are still answered, and counted.
    For(Duration),
}

/// What a run brought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Requests that were answered, connections that were closed by the server, or handshakes that
    /// were made: all that were begun.
    pub count: u64,
    /// Connections that had no answer until the time was over: a server that serves only some of
    /// them is no faster for it. 0 for a number of requests, which may be less than there are
    /// connections.
    pub starved: usize,
    /// What the load took itself.
    pub effort: Effort,
}

/// Time that passed, and CPU time of the load's thread within it: if it had no time to wait, its
/// own speed was measured, and not the server's.
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

    pub(crate) fn measure() -> impl FnOnce() -> Self {
        let (begun, cpu) = (Instant::now(), thread_time());
        move || Self {
            elapsed: begun.elapsed(),
            cpu: thread_time().saturating_sub(cpu),
        }
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What the connections of a run share.
#[derive(Debug, Default)]
pub(crate) struct Run {
    left: AtomicU64,
    end: Option<Instant>,
    waiting: AtomicUsize,
    done: AtomicU64,
    /// What the latest to wait waits for, as what the server doesn't do.
    missing: Mutex<&'static str>,
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
            missing: Mutex::new("answered nothing"),
            ..Self::default()
        })
    }

    /// Whether there's something left to ask, which is begun by that.
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

    /// How many were finished.
    pub(crate) fn count(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// Says what the server does wrong if nothing comes any more.
    pub(crate) fn expect_or(&self, missing: &'static str) {
        *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    pub(crate) fn complaint(&self, connections: usize) -> String {
        let missing = *self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.waiting.load(Relaxed);
        format!("the server {missing}, and {waiting} of {connections} connections wait for it")
    }
}

/// What all connections of a load run on.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot make a runtime")
}

/// Does the work, unless it's interrupted, or `count` stays the same for too long.
///
/// # Errors
///
/// What the work fails with; [`Interrupted`](crate::Interrupted); `complaint`, and how long there
/// was nothing.
pub(crate) async fn watched<T>(
    patience: &Patience,
    count: impl Fn() -> u64,
    complaint: impl Fn() -> String,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let watch = async {
        let (mut known, mut heard) = (count(), Instant::now());
        loop {
            patience.check()?;
            sleep(Patience::TICK).await;
            let now = count();
            if now != known {
                (known, heard) = (now, Instant::now());
            }
            if heard.elapsed() >= patience.silence() {
                let silence = patience.silence();
                return Err(anyhow::anyhow!("{} for {silence:?}", complaint()));
            }
        }
    };
    tokio::select! {
        biased;
        error = watch => error,
        done = work => done,
    }
}
