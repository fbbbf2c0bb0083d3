//! How many cases run at once. Cases wait more than they compute, so many run at once even on a
//! small machine, within the limits of the process.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The limit where descriptors allow it.
const MAX_CONCURRENT: usize = 32;

/// Average number of descriptors of a case while the largest cases run together. Those have 300
/// connections each, with both ends in this process.
const DESCRIPTORS: u64 = 256;

/// How many times a case runs that lacks memory.
const MAX_ATTEMPTS: usize = 10;

/// Time that the kernel may take to release the memory of a closed ring.
const RING_RELEASE_DELAY: Duration = Duration::from_millis(500);

/// Limits the cases that run at once.
static LIMITER: Limiter = Limiter {
    slots: Mutex::new(Slots {
        used: 0,
        limit: MAX_CONCURRENT,
    }),
    released: Condvar::new(),
};

struct Limiter {
    slots: Mutex<Slots>,
    released: Condvar,
}

struct Slots {
    used: usize,
    /// How many slots may be used; it is halved when memory is lacking.
    limit: usize,
}

impl Limiter {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot, and returns the limit at that moment.
    fn acquire(&self) -> usize {
        let slots = self
            .released
            .wait_while(self.slots(), |slots| slots.used >= slots.limit);
        let mut slots = slots.unwrap_or_else(PoisonError::into_inner);
        slots.used += 1;
        slots.limit
    }

    fn release(&self) {
        self.slots().used -= 1;
        self.released.notify_all();
    }

    /// Halves the limit after memory was lacking. Of several cases that fail at the same limit,
    /// only the first halves it.
    fn halve(&self, limit: usize) {
        let mut slots = self.slots();
        if slots.limit == limit && limit > 1 {
            slots.limit = limit / 2;
            eprintln!(
                "not enough lockable memory (RLIMIT_MEMLOCK): {} cases at once from now on",
                slots.limit
            );
        }
    }
}

pub(crate) fn max_concurrent_tests() -> usize {
    #[cfg(target_os = "linux")]
    let descriptors = crate::harness::process::raise_descriptor_limit();
    #[cfg(not(target_os = "linux"))]
    let descriptors = 1024;
    let room = descriptors / DESCRIPTORS;
    room.try_into()
        .unwrap_or(MAX_CONCURRENT)
        .clamp(1, MAX_CONCURRENT)
}

/// Runs a case beside others. Rings of io_uring need locked memory (RLIMIT_MEMLOCK). If none is
/// left, the case runs again beside fewer others.
pub(crate) fn run_limited<T>(test: impl Fn() -> T) -> T {
    let mut attempts = 0;
    loop {
        let limit = LIMITER.acquire();
        let result = catch_unwind(AssertUnwindSafe(&test));
        LIMITER.release();
        attempts += 1;
        match result {
            Err(panic) if attempts < MAX_ATTEMPTS && lacked_memory(&*panic) => {
                LIMITER.halve(limit);
                thread::sleep(RING_RELEASE_DELAY);
            }
            result => return result.unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
}

/// ENOMEM of io_uring_setup(2).
fn lacked_memory(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>();
    text.is_some_and(|text| text.contains("Cannot allocate memory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn only_a_case_that_lacked_memory_runs_again() {
        for (why, times) in [
            ("deliberate: Cannot allocate memory", 2),
            ("deliberate: something else", 1),
        ] {
            let run = Cell::new(0);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                run_limited(|| {
                    run.set(run.get() + 1);
                    assert!(run.get() > 1, "{why}");
                });
            }));
            assert_eq!((run.get(), outcome.is_ok()), (times, times == 2), "{why}");
        }
    }
}
