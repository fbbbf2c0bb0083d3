//! The rounds of a worker. In each round its tasks run, then it waits for completions. The number
//! of the round tells whether an operation could have completed since it began.
use std::cell::Cell;

thread_local! {
    static ROUND: Cell<u64> = const { Cell::new(0) };
    /// Whether the worker has waited since it last ran.
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
}

/// How often the worker of this thread has waited for completions.
pub(crate) fn round() -> u64 {
    ROUND.get()
}

/// The worker is about to run.
pub(crate) fn begin() {
    if HAS_WAITED.get() {
        ROUND.set(ROUND.get() + 1);
    }
}

/// The worker has run. If some tasks are still ready, it doesn't wait.
pub(crate) fn end(is_ready: bool) {
    HAS_WAITED.set(!is_ready);
}
