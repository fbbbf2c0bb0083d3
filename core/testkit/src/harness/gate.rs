//! The order of cases: some run before the others, which do not run if one of them fails.
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Cases that run before those of the next gate.
#[derive(Debug)]
pub(crate) struct Gate {
    previous: Option<Arc<Self>>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Selected cases that have not ended.
    pending: usize,
    /// The name of a case that failed.
    failed: Option<String>,
}

impl Gate {
    /// Opens once all cases of the previous gate have passed.
    pub(crate) fn after(previous: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            previous,
            progress: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a case that will run.
    pub(crate) fn expect_one(&self) {
        self.progress().pending += 1;
    }

    /// Ends a case. `failed` is its name if it failed.
    pub(crate) fn end_one(&self, failed: Option<&str>) {
        let mut progress = self.progress();
        progress.pending = progress.pending.saturating_sub(1);
        if let Some(name) = failed {
            progress.failed.get_or_insert_with(|| name.to_owned());
        }
        self.changed.notify_all();
    }

    /// Waits until it is open.
    ///
    /// # Errors
    ///
    /// The name of an earlier case that failed: those of this gate must not run.
    pub(crate) fn open(&self) -> Result<(), String> {
        match &self.previous {
            Some(previous) => previous.passed(),
            None => Ok(()),
        }
    }

    /// Waits until its own cases have ended, and those before it.
    fn passed(&self) -> Result<(), String> {
        self.open()?;
        let ended = self
            .changed
            .wait_while(self.progress(), |progress| progress.pending > 0);
        match &ended.unwrap_or_else(PoisonError::into_inner).failed {
            Some(name) => Err(name.clone()),
            None => Ok(()),
        }
    }

    /// The name of the first case that failed, here or before.
    pub(crate) fn failed(&self) -> Option<String> {
        let before = self
            .previous
            .as_ref()
            .and_then(|previous| previous.failed());
        before.or_else(|| self.progress().failed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn later_cases_wait_for_earlier_ones_and_name_the_one_that_failed() {
        let first = Gate::after(None);
        let second = Gate::after(Some(Arc::clone(&first)));
        let third = Gate::after(Some(Arc::clone(&second)));
        first.expect_one();
        first.expect_one();
        let waiting = thread::spawn({
            let third = Arc::clone(&third);
            move || third.open()
        });
        first.end_one(Some("one"));
        assert!(!waiting.is_finished());
        first.end_one(Some("another"));
        assert_eq!(waiting.join().unwrap(), Err("one".to_owned()));
        assert_eq!(first.open(), Ok(()));
        assert_eq!(third.failed(), Some("one".to_owned()));
    }

    #[test]
    fn gate_without_cases_is_open() {
        let first = Gate::after(None);
        let second = Gate::after(Some(first));
        assert_eq!(second.open(), Ok(()));
    }
}
