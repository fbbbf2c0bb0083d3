//! The slot of a dropped connection, which its permit holds.
use super::ConnState;
use crate::{runtime::Registered, transport::Slot};
use std::{
    task::{Context, Poll},
    time::Duration,
};

impl Slot for ConnState {
    fn id(&self) -> u64 {
        self.id
    }

    fn must_flush(&self) -> bool {
        !self.flags.discards_unsent() && !self.aborting()
    }

    fn write_stall(&self) -> Duration {
        self.timeouts().write_stall
    }

    fn poll_aborted(&self, registered: &mut Registered, cx: &mut Context<'_>) -> Poll<()> {
        // The connection's I/O object has been dropped, so no other task waits to write.
        let _ = registered.refresh(cx, &self.external_wakers().writer);
        match self.aborting() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}
