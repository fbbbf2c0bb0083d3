//! The permits of dropped connections. Such a connection counts against the limits until the ring
//! has closed its descriptor and returned its buffers.
use crate::{Driver, tick};
use anyport_core::transport::Permit;
use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    task::{Poll, Waker},
};

/// A dropped operation is cancelled in the ring's next submission, and the descriptor is closed in
/// the one after that. A task that is always ready is polled up to three times per submission.
const POLLS_UNTIL_CLOSED: u8 = 9;

/// This many permits per tick are released at once: waiting for so few would cost the ring extra
/// submissions.
const IMMEDIATE_PER_TICK: usize = 2;

thread_local! {
    static DEFERRED: RefCell<Deferred> = RefCell::new(Deferred { task: Waker::noop().clone(), permits: Vec::new(), tick: 0, released: 0 });
}

struct Deferred {
    task: Waker,
    /// With the number of polls since the connection was dropped.
    permits: Vec<(u8, Permit)>,
    /// The tick that `released` counts.
    tick: u64,
    released: usize,
}

/// Releases the permit of a connection that was dropped in this tick, once its descriptor is
/// closed.
pub(crate) fn defer(permit: Permit) {
    // With epoll a dropped connection is closed at once.
    if Driver::current() != Some(Driver::IoUring) {
        return;
    }
    let permit = DEFERRED.with_borrow_mut(|deferred| {
        if mem::replace(&mut deferred.tick, tick::current()) != tick::current() {
            deferred.released = 0;
        }
        if deferred.released < IMMEDIATE_PER_TICK {
            deferred.released += 1;
            return Some(permit);
        }
        deferred.permits.push((0, permit));
        deferred.task.wake_by_ref();
        None
    });
    drop(permit);
}

/// Releases permits for as long as the worker runs.
pub(crate) async fn run() {
    poll_fn(|cx| {
        let mut permits = DEFERRED.with_borrow_mut(|deferred| {
            deferred.task.clone_from(cx.waker());
            mem::take(&mut deferred.permits)
        });
        // Releasing a permit may run an observer, so nothing is borrowed here.
        permits.retain_mut(|(polls, _)| {
            *polls += 1;
            *polls <= POLLS_UNTIL_CLOSED
        });
        DEFERRED.with_borrow_mut(|deferred| {
            permits.append(&mut deferred.permits);
            deferred.permits = permits;
            if !deferred.permits.is_empty() {
                cx.waker().wake_by_ref();
            }
        });
        Poll::Pending
    })
    .await
}

/// Releases all permits when the worker ends.
pub(crate) fn clear() {
    let permits = DEFERRED.with_borrow_mut(|deferred| mem::take(&mut deferred.permits));
    drop(permits);
}
