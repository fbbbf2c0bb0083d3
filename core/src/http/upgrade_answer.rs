//! The app's answer to an upgrade that an HTTP/1 request offers.
//!
//! Hyper does not report a refusal: its upgrade future stays pending until the connection ends.
use crate::runtime::{Registered, WakerSlot};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

/// The app's answer to an offered upgrade. It is in the extensions of the request.
#[derive(Clone, Default)]
pub(super) struct UpgradeAnswer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: AtomicU8,
    waits: WakerSlot,
}

const OPEN: u8 = 0;
const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;

impl UpgradeAnswer {
    pub(super) fn accept(&self) {
        self.0.state.store(ACCEPTED, SeqCst);
    }

    /// Refuses the upgrade, unless it was accepted.
    pub(super) fn refuse(&self) {
        let state = &self.0.state;
        if state
            .compare_exchange(OPEN, REFUSED, SeqCst, SeqCst)
            .is_ok()
        {
            self.0.waits.wake();
        }
    }

    /// Ready when the upgrade has been refused.
    #[cfg_attr(
        not(any(feature = "http1", feature = "http2")),
        expect(dead_code, reason = "without a version of HTTP, nothing is upgraded")
    )]
    pub(super) fn poll_refused(
        &self,
        registered: &mut Registered,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let _ = registered.refresh(cx, &self.0.waits);
        match self.0.state.load(SeqCst) {
            REFUSED => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
