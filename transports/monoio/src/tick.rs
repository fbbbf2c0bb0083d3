//! The ticks of a worker. In each tick its tasks run, then it waits for completions. The number of
//! the tick tells whether an operation could have completed since it was started.
use std::cell::Cell;

thread_local! {
    static TICK: Cell<u64> = const { Cell::new(0) };
    /// Whether the worker has waited since it last ran.
    static HAS_WAITED: Cell<bool> = const { Cell::new(false) };
}

/// How often the worker of this thread has waited for completions.
pub(crate) fn current() -> u64 {
    TICK.get()
}

/// Called before the worker's tasks run.
pub(crate) fn begin() {
    if HAS_WAITED.get() {
        TICK.set(TICK.get() + 1);
    }
}

/// Called after the worker's tasks have run. The worker does not wait while a task is ready.
pub(crate) fn end(is_ready: bool) {
    HAS_WAITED.set(!is_ready);
}
