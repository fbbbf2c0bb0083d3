//! How long the load waits: neither a server that sends nothing nor a user who interrupts may hang
//! a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// How long to wait for a server, and a flag that ends every wait.
#[derive(Clone, Debug)]
pub struct Timeout {
    /// How long a server may send nothing.
    pub(crate) duration: Duration,
    stop: Arc<AtomicBool>,
}

/// The error of a wait that the flag ended.
#[derive(Debug)]
pub struct Interrupted;

impl Timeout {
    /// How often a wait checks the flag.
    pub const TICK: Duration = Duration::from_millis(50);

    /// Waits for `duration` at most, and not after `stop` was set.
    #[must_use]
    pub fn new(duration: Duration, stop: Arc<AtomicBool>) -> Self {
        Self { duration, stop }
    }

    /// The same flag with another duration.
    #[must_use]
    pub fn with_duration(&self, duration: Duration) -> Self {
        Self {
            duration,
            ..self.clone()
        }
    }

    /// Fails when the flag is set.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] only.
    pub fn check(&self) -> Result<(), Interrupted> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Interrupted),
            false => Ok(()),
        }
    }

    /// Sleeps for `duration`, whatever the timeout is.
    ///
    /// # Errors
    ///
    /// [`Interrupted`] only.
    pub fn sleep(&self, duration: Duration) -> Result<(), Interrupted> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(Self::TICK));
        }
    }

    /// Calls `ready` until it gives a value. `None` if there is none in time.
    ///
    /// # Errors
    ///
    /// [`Interrupted`], and the errors of `ready`.
    pub fn poll<T>(
        &self,
        mut ready: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        const PAUSE: Duration = Duration::from_millis(2);
        let end = Instant::now() + self.duration;
        loop {
            if let Some(value) = ready()? {
                return Ok(Some(value));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            self.sleep(PAUSE)?;
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
