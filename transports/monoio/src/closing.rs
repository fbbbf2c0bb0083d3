//! Connections that have been dropped, until the ring has closed their descriptors and given their buffers back: they count against the limits for as long.
use crate::Driver;
use anyport_core::Permit;
use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    task::{Poll, Waker},
};

/// An operation of the ring that's dropped is cancelled in the next turn of the ring, and the descriptor is closed in the one after it.
const TURNS: u8 = 3;

thread_local! {
    static CLOSING: RefCell<Closing> = RefCell::new(Closing { task: Waker::noop().clone(), permits: Vec::new() });
}

struct Closing {
    task: Waker,
    /// With the number of turns that the ring has had since.
    permits: Vec<(u8, Permit)>,
}

/// Holds the permit of a connection that was dropped in this turn of its worker.
pub(crate) fn hold(permit: Permit) {
    // epoll has nothing of it.
    if Driver::current() != Some(Driver::IoUring) {
        return;
    }
    CLOSING.with_borrow_mut(|closing| {
        closing.permits.push((0, permit));
        closing.task.wake_by_ref();
    });
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
