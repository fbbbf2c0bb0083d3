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

/// Something that's on its way.
pub(crate) trait Letter {
    /// Ready once it has arrived, or never will.
    fn poll_delivery(&self, cx: &mut Context<'_>) -> Poll<()>;
}

struct Office {
    postman: Waker,
    letters: Vec<Rc<dyn Letter>>,
    /// How many are seen through by a task of their own.
    late: usize,
}

thread_local! {
    static OFFICE: RefCell<Office> = RefCell::new(Office {
        postman: Waker::noop().clone(),
        letters: Vec::new(),
        late: 0,
    });
}

/// What a letter that was just written wakes when it has arrived.
pub(crate) fn waker() -> Waker {
    OFFICE.with_borrow(|office| office.postman.clone())
}

/// Has a letter seen through.
pub(crate) fn post(letter: Rc<dyn Letter>) {
    OFFICE.with_borrow_mut(|office| office.letters.push(letter));
}

/// Whether all letters have arrived.
pub(crate) fn is_idle() -> bool {
    OFFICE.with_borrow(|office| office.letters.is_empty() && office.late == 0)
}

/// Gives up all letters: the worker ends.
pub(crate) fn close() {
    let office = OFFICE.with_borrow_mut(|office| {
        office.late = 0;
        mem::take(&mut office.letters)
    });
    drop(office);
}

/// Sees letters through, for as long as the worker lives.
pub(crate) async fn postman() {
    poll_fn(|cx| {
        let mut letters = OFFICE.with_borrow_mut(|office| {
            office.postman.clone_from(cx.waker());
            mem::take(&mut office.letters)
        });
        for letter in letters.drain(..) {
            if letter.poll_delivery(cx).is_pending() {
                // Its peer is slow. It's not asked each time that another one has arrived.
                local::spawn(see_through(letter));
            }
        }
        // The allocation is used again.
        OFFICE.with_borrow_mut(|office| {
            letters.append(&mut office.letters);
            office.letters = letters;
        });
        Poll::Pending
    })
    .await
}

async fn see_through(letter: Rc<dyn Letter>) {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            let _ = OFFICE.try_with(|office| {
                let mut office = office.borrow_mut();
                office.late = office.late.saturating_sub(1);
            });
        }
    }
    OFFICE.with_borrow_mut(|office| office.late += 1);
    let _late = Late;
    poll_fn(|cx| letter.poll_delivery(cx)).await;
}
