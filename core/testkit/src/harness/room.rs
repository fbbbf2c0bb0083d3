//! How many tests run at once. Tests wait more than they compute, so many run even on a small
//! machine, as far as the limits of the process allow.
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Where there's room.
const AT_ONCE: usize = 32;

/// So many descriptors each test has on average, where the largest come together: they have 300
/// connections each, both ends of them.
const DESCRIPTORS: u64 = 256;

/// A test that lacked memory is run so often again.
const TIMES: usize = 10;

/// So long the kernel may take to give back the memory of a ring that's closed.
const GIVEN_BACK: Duration = Duration::from_millis(500);

/// The tests that go on at once.
static ROOM: Room = Room {
    seats: Mutex::new(Seats {
        taken: 0,
        most: AT_ONCE,
    }),
    left: Condvar::new(),
};

struct Room {
    seats: Mutex<Seats>,
    left: Condvar,
}

struct Seats {
    taken: usize,
    /// So many may be taken; fewer, once memory was lacking.
    most: usize,
}

impl Room {
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how many seats there were.
    fn enter(&self) -> usize {
        let seats = self
            .left
            .wait_while(self.seats(), |seats| seats.taken >= seats.most);
        let mut seats = seats.unwrap_or_else(PoisonError::into_inner);
        seats.taken += 1;
        seats.most
    }

    fn leave(&self) {
        self.seats().taken -= 1;
        self.left.notify_all();
    }

    /// There was not enough memory for that many: from now on, half of them go on at once. Of
    /// several that find so together, one counts.
    fn shrink(&self, most: usize) {
        let mut seats = self.seats();
        if seats.most == most && most > 1 {
            seats.most = most / 2;
            eprintln!(
                "memory that may be locked was lacking: {} tests at once from now on",
                seats.most
            );
        }
    }
}

pub(crate) fn at_once() -> usize {
    #[cfg(target_os = "linux")]
    let descriptors = crate::harness::process::allow_all_descriptors();
    #[cfg(not(target_os = "linux"))]
    let descriptors = 1024;
    let room = descriptors / DESCRIPTORS;
    room.try_into().unwrap_or(AT_ONCE).clamp(1, AT_ONCE)
}

/// Runs a test beside others. If they leave no memory that this process may lock (RLIMIT_MEMLOCK),
/// which is what rings of io_uring need, it's run again beside fewer.
pub(crate) fn make_use<T>(test: impl Fn() -> T) -> T {
    let mut tries = 0;
    loop {
        let most = ROOM.enter();
        let result = catch_unwind(AssertUnwindSafe(&test));
        ROOM.leave();
        tries += 1;
        match result {
            Err(panic) if tries < TIMES && lacked_memory(&*panic) => {
                ROOM.shrink(most);
                thread::sleep(GIVEN_BACK);
            }
            result => return result.unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
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
