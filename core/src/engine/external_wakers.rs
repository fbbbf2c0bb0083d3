//! Wakers of tasks that use a connection and are not its own. Few connections have such tasks.
use crate::runtime::WakerSlot;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Wakers of other tasks that use the connection.
#[derive(Debug, Default)]
pub(crate) struct ExternalWakers {
    pub(crate) reader: WakerSlot,
    pub(crate) writer: WakerSlot,
    /// A raw handler that waits for the drain.
    pub(crate) drain: WakerSlot,
    /// How many bytes a stream with a buffer had sent at the last check. Kept here, because few
    /// connections are checked.
    sent: AtomicU64,
}

impl ExternalWakers {
    pub(super) fn wake_all(&self) {
        self.drain.wake();
        self.reader.wake();
        self.writer.wake();
    }

    /// Sets how many bytes have been sent. Returns the previous number.
    pub(super) fn replace_sent(&self, bytes: u64) -> u64 {
        self.sent.swap(bytes, Relaxed)
    }
}
