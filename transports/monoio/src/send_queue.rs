//! Completes sends that no connection awaits, in one task per worker. A response is sent without a
//! second poll of its connection, and is sent although its connection was dropped.
use anyport_core::runtime::local;
use std::{
    cell::RefCell,
    future::poll_fn,
    mem,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// A send that has not completed yet.
pub(crate) trait PendingSend {
    /// Ready once the bytes have been sent or have failed.
    fn poll_complete(&self, cx: &mut Context<'_>) -> Poll<()>;
}

struct SendQueue {
    task: Waker,
    sends: Vec<Rc<dyn PendingSend>>,
    /// How many sends have a task of their own, because their peer is slow.
    slow: usize,
}

thread_local! {
    static QUEUE: RefCell<SendQueue> = RefCell::new(SendQueue {
        task: Waker::noop().clone(),
        sends: Vec::new(),
        slow: 0,
    });
}

/// The waker of the task that drives the queue.
pub(crate) fn waker() -> Waker {
    QUEUE.with_borrow(|queue| queue.task.clone())
}

pub(crate) fn enqueue(send: Rc<dyn PendingSend>) {
    QUEUE.with_borrow_mut(|queue| queue.sends.push(send));
}

/// Whether all sends have completed.
pub(crate) fn is_empty() -> bool {
    QUEUE.with_borrow(|queue| queue.sends.is_empty() && queue.slow == 0)
}

/// Drops all sends when the worker ends.
pub(crate) fn clear() {
    let queue = QUEUE.with_borrow_mut(|queue| {
        queue.slow = 0;
        mem::take(&mut queue.sends)
    });
    drop(queue);
}

/// Drives the sends in the queue for as long as the worker runs.
pub(crate) async fn run() {
    poll_fn(|cx| {
        let mut sends = QUEUE.with_borrow_mut(|queue| {
            queue.task.clone_from(cx.waker());
            mem::take(&mut queue.sends)
        });
        for send in sends.drain(..) {
            if send.poll_complete(cx).is_pending() {
                // The peer is slow, so the send gets a task of its own. That task is not polled
                // each time that another send completes.
                local::spawn(drive_to_completion(send));
            }
        }
        // This keeps the allocation for later sends.
        QUEUE.with_borrow_mut(|queue| {
            sends.append(&mut queue.sends);
            queue.sends = sends;
        });
        Poll::Pending
    })
    .await
}

async fn drive_to_completion(send: Rc<dyn PendingSend>) {
    struct InFlight;
    impl Drop for InFlight {
        fn drop(&mut self) {
            let _ = QUEUE.try_with(|queue| {
                let mut queue = queue.borrow_mut();
                queue.slow = queue.slow.saturating_sub(1);
            });
        }
    }
    QUEUE.with_borrow_mut(|queue| queue.slow += 1);
    let _in_flight = InFlight;
    poll_fn(|cx| send.poll_complete(cx)).await;
}
