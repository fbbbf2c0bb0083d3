//! How many tests go on at once. They wait more than they compute: many even on a small machine, if the process's limits leave room for them.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{PoisonError, RwLock},
    thread,
    time::Duration,
};

/// Where there's room.
const AT_ONCE: usize = 32;

/// So many descriptors each test has on average, where the largest come together: they have 300 connections each, both ends of them.
const DESCRIPTORS: u64 = 256;

/// A test that lacked memory is run so often again.
const TIMES: usize = 10;

/// So long the kernel may take to give back the memory of a ring that's closed.
const GIVEN_BACK: Duration = Duration::from_millis(500);

/// Shared by tests that go on at once.
static ROOM: RwLock<()> = RwLock::new(());

pub(crate) fn at_once() -> usize {
    #[cfg(target_os = "linux")]
    let descriptors = crate::process::allow_all_descriptors();
    #[cfg(not(target_os = "linux"))]
    let descriptors = 1024;
    let room = descriptors / DESCRIPTORS;
    room.try_into().unwrap_or(AT_ONCE).clamp(1, AT_ONCE)
}

/// Runs a test beside others. If they leave no memory that this process may lock (RLIMIT_MEMLOCK), which is what rings of io_uring need, it's run again without them.
pub(crate) fn make_use<T>(test: impl Fn() -> T) -> T {
    let attempt = || catch_unwind(AssertUnwindSafe(&test));
    let mut result = {
        let _beside_others = ROOM.read().unwrap_or_else(PoisonError::into_inner);
        attempt()
    };
    for _ in 0..TIMES {
        match result {
            Err(panic) if lacked_memory(&*panic) => {
                eprintln!("there was no memory to be locked: once more, alone");
                let _alone = ROOM.write().unwrap_or_else(PoisonError::into_inner);
                thread::sleep(GIVEN_BACK);
                result = attempt();
            }
            _ => break,
        }
    }
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// ENOMEM, as io_uring_setup(2) has it.
fn lacked_memory(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<String>();
    text.is_some_and(|text| text.contains("Cannot allocate memory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn who_lacked_memory_is_run_again_and_who_failed_is_not() {
        for (why, times) in [
            ("deliberate: Cannot allocate memory", 2),
            ("deliberate: something else", 1),
        ] {
            let run = Cell::new(0);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                make_use(|| {
                    run.set(run.get() + 1);
                    assert!(run.get() > 1, "{why}");
                });
            }));
            assert_eq!((run.get(), outcome.is_ok()), (times, times == 2), "{why}");
        }
    }
}
