//! Flags of a connection that change once, or seldom.
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Acquire, Relaxed, Release},
};

/// Each writer has bytes of its own, because it writes them without a lock.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    /// Tasks other than the connection's own may poll its I/O object.
    has_external_pollers: AtomicBool,
    /// An [`Upgrade`].
    upgraded: AtomicU8,
    /// Bits that only the connection's own task writes: [`REACHED_AGE`] to [`RESET`].
    own: AtomicU8,
    /// A drain closed the connection, because the client stopped in the middle of a request.
    stalled: AtomicBool,
    /// The deadline in the worker's timer queue has passed.
    due: AtomicBool,
    /// A [`Lingering`].
    lingering: AtomicU8,
}

/// The connection has reached its maximum age: the next response says `Connection: close`.
const REACHED_AGE: u8 = 1;
/// The worker will wake the connection for the next check of its client.
const PEER_CHECK: u8 = 1 << 1;
/// The I/O object is being taken from hyper, without closing it.
const DETACHING: u8 = 1 << 2;
/// Hyper read or wrote while the I/O object was being taken from it.
const DISTURBED: u8 = 1 << 3;
/// The client disconnected, or accepted nothing for too long: buffered bytes are not sent.
const DISCARD_UNSENT: u8 = 1 << 4;
/// The client has ended its sending half, and still gets its response.
const HALF_CLOSED: u8 = 1 << 5;
/// The server closes the connection gracefully. The protocol may send a last message, such as TLS's
/// `close_notify`.
const GRACEFUL_CLOSE: u8 = 1 << 6;
/// Dropping the connection resets it, so that the client does not take a truncated response as
/// complete.
const RESET: u8 = 1 << 7;

/// Whether a connection has switched from HTTP to another protocol, such as WebSocket.
#[repr(u8)]
enum Upgrade {
    No = 0,
    /// It has switched, and its own task is about to end.
    Pending,
    /// Its own task has ended.
    Complete,
}

/// Whether the close waits for the client's end.
#[repr(u8)]
enum Lingering {
    No = 0,
    /// The client may still be sending bytes that nobody reads. Ignored after an upgrade.
    IfUnread,
    /// HTTP/2: the client sends acknowledgements until the last frame.
    Always,
    /// Everything has been sent, and the close waits.
    Active,
}

impl Flags {
    /// Marks the connection as being of maximum age.
    pub(crate) fn mark_reached_age(&self) {
        self.set_own(REACHED_AGE, true);
    }

    pub(crate) fn has_reached_age(&self) -> bool {
        self.has_own(REACHED_AGE)
    }

    /// From now on, only the connection's own task polls the I/O object, until an upgrade.
    pub(crate) fn clear_external_pollers(&self) {
        self.has_external_pollers.store(false, Relaxed);
    }

    pub(super) fn set_external_pollers(&self) {
        self.has_external_pollers.store(true, Relaxed);
    }

    pub(super) fn has_external_pollers(&self) -> bool {
        self.has_external_pollers.load(Relaxed)
    }

    /// The connection has switched to another protocol. Set before the app gets the I/O object.
    pub(crate) fn set_upgraded(&self) {
        self.set_external_pollers();
        self.upgraded.store(Upgrade::Pending as u8, Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed) != Upgrade::No as u8
    }

    /// The upgraded connection's own task has ended.
    pub(super) fn complete_upgrade(&self) {
        self.upgraded.store(Upgrade::Complete as u8, Release);
    }

    /// Whether the connection was upgraded and its own task has ended.
    pub(super) fn is_taskless(&self) -> bool {
        self.upgraded.load(Acquire) == Upgrade::Complete as u8
    }

    /// Until [`end_detaching`](Self::end_detaching), shutting the I/O object down does nothing, and
    /// nothing can be read or written.
    pub(crate) fn begin_detaching(&self) {
        self.set_own(DETACHING, true);
        // So that reads and writes check `DETACHING`.
        self.set_external_pollers();
    }

    /// Ends what [`begin_detaching`](Self::begin_detaching) began. Returns whether hyper neither
    /// read nor wrote since then.
    pub(crate) fn end_detaching(&self) -> bool {
        if !self.is_upgraded() {
            self.clear_external_pollers();
        }
        let was_disturbed = self.has_own(DISTURBED);
        self.set_own(DETACHING | DISTURBED, false);
        !was_disturbed
    }

    /// Hyper reads or writes, so the connection was not idle.
    pub(super) fn disturb_detaching(&self) {
        self.set_own(DISTURBED, true);
    }

    pub(super) fn is_detaching(&self) -> bool {
        self.has_own(DETACHING)
    }

    /// Whether the worker will wake the connection for the next check of its client.
    pub(super) fn is_probing(&self) -> bool {
        self.has_own(PEER_CHECK)
    }

    pub(super) fn set_probing(&self, probing: bool) {
        self.set_own(PEER_CHECK, probing);
    }

    fn has_own(&self, bit: u8) -> bool {
        self.own.load(Relaxed) & bit != 0
    }

    /// A single task writes these bits, so no atomic read-modify-write is needed.
    fn set_own(&self, bits: u8, on: bool) {
        let own = self.own.load(Relaxed);
        self.own
            .store(if on { own | bits } else { own & !bits }, Relaxed);
    }

    /// An HTTP/2 client sends acknowledgements and window updates until the last frame. So the
    /// close waits for its end.
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "only HTTP/2 has such peers")
    )]
    pub(crate) fn always_linger(&self) {
        self.set_lingering(Lingering::Always);
    }

    /// The client may be sending bytes that nobody reads. So the close waits for its end.
    pub(crate) fn linger_at_close(&self) {
        let (no, will) = (Lingering::No as u8, Lingering::IfUnread as u8);
        let _ = self.lingering.compare_exchange(no, will, Relaxed, Relaxed);
    }

    /// Everything that the client sent has been read, so the close need not wait for its end.
    pub(crate) fn cancel_linger(&self) {
        self.set_lingering(Lingering::No);
    }

    /// The client disconnected, or accepted nothing for too long: buffered bytes are not sent.
    pub(crate) fn discard_unsent(&self) {
        self.set_own(DISCARD_UNSENT, true);
    }

    pub(super) fn discards_unsent(&self) -> bool {
        self.has_own(DISCARD_UNSENT)
    }

    /// The client has ended its sending half, and still gets its response.
    pub(super) fn set_half_closed(&self) {
        self.set_own(HALF_CLOSED, true);
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.has_own(HALF_CLOSED)
    }

    /// The server is about to drop the connection gracefully, not in the middle of a response.
    pub(crate) fn set_graceful_close(&self) {
        self.set_own(GRACEFUL_CLOSE, true);
    }

    pub(super) fn closes_gracefully(&self) -> bool {
        self.has_own(GRACEFUL_CLOSE)
    }

    /// A response that ends with the connection begins. Until a graceful shutdown, dropping the
    /// connection resets it: otherwise a truncated response would look complete.
    pub(crate) fn reset_unless_shut_down(&self) {
        self.set_own(RESET, true);
    }

    pub(super) fn set_shut_down(&self) {
        self.set_own(RESET, false);
    }

    pub(super) fn is_to_be_reset(&self) -> bool {
        self.has_own(RESET)
    }

    pub(super) fn begin_lingering(&self) {
        self.set_lingering(Lingering::Active);
    }

    fn set_lingering(&self, lingering: Lingering) {
        self.lingering.store(lingering as u8, Relaxed);
    }

    /// Whether the close waits for the client's end. `is_being_read`: a body is being read.
    pub(super) fn lingers(&self, is_being_read: bool) -> bool {
        let lingering = self.lingering.load(Relaxed);
        lingering > Lingering::IfUnread as u8
            || !self.has_external_pollers()
                && (lingering == Lingering::IfUnread as u8 || is_being_read)
    }

    /// Whether everything has been sent, and the close waits for the client's end.
    pub(crate) fn is_lingering(&self) -> bool {
        self.lingering.load(Relaxed) == Lingering::Active as u8
    }

    /// The deadline has passed.
    pub(crate) fn set_due(&self) {
        self.due.store(true, Relaxed);
    }

    /// Whether the deadline has passed since the last call. Then no deadline is set.
    pub(crate) fn take_due(&self) -> bool {
        let due = self.is_due();
        if due {
            self.due.store(false, Relaxed);
            // A check of the client that is still needed sets this again.
            self.set_own(PEER_CHECK, false);
        }
        due
    }

    /// The same for the I/O object of an upgraded connection, which must not write the task's
    /// flags.
    #[cfg(any(feature = "http1", feature = "http2"))]
    pub(crate) fn take_due_upgraded(&self) -> bool {
        let due = self.is_due();
        if due {
            self.due.store(false, Relaxed);
        }
        due
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due.load(Relaxed)
    }

    /// A drain closes the connection, because the client stopped in the middle of a request.
    pub(crate) fn set_stalled(&self) {
        self.stalled.store(true, Relaxed);
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }
}
