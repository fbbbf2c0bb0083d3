//! The permits of dropped connections. Such a connection counts against the limits until the ring
//! has closed its descriptor and returned its buffers.
use crate::{Driver, round::round};
use anyport_core::Permit;
use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    task::{Poll, Waker},
};

/// An operation that's dropped is cancelled in the ring's next turn, and the descriptor is closed
/// in the one after it. A task that's always ready has up to three turns of its own for each of the
/// ring's.
const TURNS: u8 = 9;

/// So many in a round of the worker needn't be waited for: the ring would have turns for nothing
/// else.
const FEW: usize = 2;

thread_local! {
    static CLOSING: RefCell<Closing> = RefCell::new(Closing { task: Waker::noop().clone(), permits: Vec::new(), round: 0, few: 0 });
}

struct Closing {
    task: Waker,
    /// With the number of turns since.
    permits: Vec<(u8, Permit)>,
    /// How many were given back at once in this round.
    round: u64,
    few: usize,
}

/// Holds the permit of a connection that was dropped in this turn of its worker.
pub(crate) fn hold(permit: Permit) {
    // epoll has nothing of it.
    if Driver::current() != Some(Driver::IoUring) {
        return;
    }
    let permit = CLOSING.with_borrow_mut(|closing| {
        if mem::replace(&mut closing.round, round()) != round() {
            closing.few = 0;
        }
        if closing.few < FEW {
            closing.few += 1;
            return Some(permit);
        }
        closing.permits.push((0, permit));
        closing.task.wake_by_ref();
        None
    });
    drop(permit);
}

/// Gives permits back, for as long as the worker lives.
pub(crate) async fn give_back() {
    poll_fn(|cx| {
        let mut permits = CLOSING.with_borrow_mut(|closing| {
            closing.task.clone_from(cx.waker());
            mem::take(&mut closing.permits)
        });
        // Giving one back may run an observer.
        permits.retain_mut(|(turns, _)| {
            *turns += 1;
            *turns <= TURNS
        });
        CLOSING.with_borrow_mut(|closing| {
            permits.append(&mut closing.permits);
            closing.permits = permits;
            if !closing.permits.is_empty() {
                cx.waker().wake_by_ref();
            }
        });
        Poll::Pending
    })
    .await
}

/// Gives all permits back: the worker ends.
pub(crate) fn clear() {
    let permits = CLOSING.with_borrow_mut(|closing| mem::take(&mut closing.permits));
    drop(permits);
}
