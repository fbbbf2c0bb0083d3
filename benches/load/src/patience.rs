//! How long the load waits: a server that's silent, or a user who has enough, must never hang a
//! run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// How long to wait for whatever a server owes, and a flag that ends every wait.
#[derive(Clone, Debug)]
pub struct Patience {
    silence: Duration,
    stop: Arc<AtomicBool>,
}

/// What a wait fails with when the flag was set: nobody did anything wrong.
#[derive(Debug)]
pub struct Interrupted;

impl Patience {
    /// How often a wait looks at the flag.
    pub const TICK: Duration = Duration::from_millis(50);

    /// Waits no longer than `silence`, and not after `stop` was set.
    #[must_use]
    pub fn new(silence: Duration, stop: Arc<AtomicBool>) -> Self {
        Self { silence, stop }
    }

    /// How long a server may be silent.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// The same flags with another duration.
    #[must_use]
    pub fn of(&self, silence: Duration) -> Self {
        Self {
            silence,
            ..self.clone()
        }
    }

    /// Fails when the flag is set.
    ///
    /// # Errors
    ///
    /// [`Interrupted`], and nothing else.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        Ok(())
    }

    /// Does nothing for `duration`.
    ///
    /// # Errors
    ///
    /// When it's interrupted.
    pub fn pause(&self, duration: Duration) -> Result<(), Interrupted> {
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

    /// Asks again and again, until there's an answer; nothing if there's none in time.
    ///
    /// # Errors
    ///
    /// When it's interrupted, and what `ask` fails with.
    pub fn poll<T>(
        &self,
        mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        const PAUSE: Duration = Duration::from_millis(2);
        let end = Instant::now() + self.silence;
        loop {
            if let Some(answer) = ask()? {
                return Ok(Some(answer));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            self.pause(PAUSE)?;
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}
