//! Reports the end of a worker to its server.
use super::{WorkerState, server_state::Command};
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;

/// Held by a worker's accept loop. Reports how the worker ended, in any case.
pub(crate) struct WorkerGuard {
    worker: Arc<WorkerState>,
    is_reported: bool,
}

impl WorkerGuard {
    /// Registers a worker with its server.
    pub(crate) fn register(worker: WorkerState) -> Self {
        let worker = Arc::new(worker);
        let weak = Arc::downgrade(&worker);
        worker.shared.worker_began(weak);
        Self {
            worker,
            is_reported: false,
        }
    }

    pub(crate) fn worker(&self) -> &Arc<WorkerState> {
        &self.worker
    }

    pub(crate) fn report(&mut self, result: Result<()>) {
        if !self.is_reported {
            self.is_reported = true;
            let report = self.worker.report();
            self.worker.shared.worker_ended(report, result);
        }
    }
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        if self.is_reported {
            return;
        }
        let why = if std::thread::panicking() {
            "its listener panicked"
        } else {
            "its runtime was shut down"
        };
        let result = match self.worker.shared.command() {
            Command::Abort => Ok(()),
            Command::Serve | Command::Drain => {
                let what = format!("{} ended before its time: {why}", self.worker.worker);
                Err(Error::new(ErrorKind::Worker, what))
            }
        };
        self.report(result);
    }
}
