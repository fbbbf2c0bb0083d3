//! What happens to a connection once, or seldom.
use super::ConnState;
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Acquire, Relaxed, Release},
};

/// One byte for each writer, since they are written without a lock.
#[derive(Debug, Default)]
pub(super) struct Flags {
    /// Its I/O object may be polled by another task than its own.
    has_external_pollers: AtomicBool,
    /// An [`Upgrade`].
    upgraded: AtomicU8,
    /// Bits that the connection's own task alone writes: [`OLD`] to [`RESET`].
    own: AtomicU8,
    /// It was closed in a drain, because its peer was silent in the middle of something.
    stalled: AtomicBool,
    /// The deadline that the worker holds for it has passed.
    due: AtomicBool,
    /// A [`Lingering`].
    lingering: AtomicU8,
}

/// It is to end, because it is old: its peer is told when it is answered next.
const OLD: u8 = 1;
/// The worker wakes it for the next question about its peer.
const PROBING: u8 = 1 << 1;
/// Who serves it is to give its I/O object back, without closing it.
const DETACHING: u8 = 1 << 2;
/// They have done something else with it meanwhile.
const DISTURBED: u8 = 1 << 3;
/// Its peer left, or took nothing for too long: it is owed nothing more.
const DISCARD_UNSENT: u8 = 1 << 4;
/// Its peer has ended its sending half, and is answered nevertheless.
const HALF_CLOSED: u8 = 1 << 5;
/// The server ends it in order, and its protocol may have a word for that.
const GRACEFUL_CLOSE: u8 = 1 << 6;
/// It's to end in a reset, so that its peer doesn't take what it got for all there is.
const RESET: u8 = 1 << 7;

/// Whether a connection speaks something else than HTTP by now: a WebSocket, a tunnel.
#[repr(u8)]
enum Upgrade {
    No = 0,
    /// It does, and its own task is about to end.
    Begins,
    /// Its own task has ended.
    Done,
}

/// Whether a connection's peer is waited for when it's closed.
#[repr(u8)]
enum Lingering {
    No = 0,
    /// It may be sending still what isn't read; unless it speaks something else by then.
    Will,
    /// It acknowledges what it's told, up to the last word.
    Always,
    /// All has been said, and it's being waited for.
    Does,
}

impl ConnState {
    /// It's old: its peer is told to leave.
    pub(crate) fn mark_old(&self) {
        self.set_own(OLD, true);
    }

    pub(crate) fn is_old(&self) -> bool {
        self.has_own(OLD)
    }

    /// From now on the I/O object is polled by the connection's own task only, which is woken for
    /// everything anyway; until an upgrade.
    pub(crate) fn clear_external_pollers(&self) {
        self.flags.has_external_pollers.store(false, Relaxed);
    }

    pub(super) fn set_external_pollers(&self) {
        self.flags.has_external_pollers.store(true, Relaxed);
    }

    pub(super) fn has_external_pollers(&self) -> bool {
        self.flags.has_external_pollers.load(Relaxed)
    }

    /// The connection speaks something else now: a WebSocket, a tunnel. Said before anybody gets
    /// hold of it.
    pub(crate) fn set_upgraded(&self) {
        self.set_external_pollers();
        self.flags.upgraded.store(Upgrade::Begins as u8, Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.flags.upgraded.load(Relaxed) != Upgrade::No as u8
    }

    /// The connection's own task has ended. If the connection was upgraded, its I/O object has the
    /// task's waker slot and deadline from now on.
    pub(super) fn end_task(&self) {
        self.task.clear();
        if self.is_upgraded() {
            self.flags.upgraded.store(Upgrade::Done as u8, Release);
            if self.has_external_wakers() {
                // The task may have taken the I/O object's deadline for its own.
                self.set_due();
                self.wake();
            }
        }
    }

    /// Whether the connection was upgraded and its own task has ended.
    pub(super) fn is_taskless(&self) -> bool {
        self.flags.upgraded.load(Acquire) == Upgrade::Done as u8
    }

    /// Until [`end_detaching`](Self::end_detaching), shutting the I/O object down does nothing, and
    /// nothing can be read or written.
    pub(crate) fn begin_detaching(&self) {
        self.set_own(DETACHING, true);
        // So that reads and writes look.
        self.set_external_pollers();
    }

    /// Whether nothing was to be read or written meanwhile.
    pub(crate) fn end_detaching(&self) -> bool {
        if !self.is_upgraded() {
            self.clear_external_pollers();
        }
        let was_disturbed = self.has_own(DISTURBED);
        self.set_own(DETACHING | DISTURBED, false);
        !was_disturbed
    }

    /// Something is read or written, so it wasn't idle.
    pub(super) fn disturb_detaching(&self) {
        self.set_own(DISTURBED, true);
    }

    pub(super) fn is_detaching(&self) -> bool {
        self.has_own(DETACHING)
    }

    /// Whether the worker wakes it for the next question about its peer.
    pub(super) fn is_probing(&self) -> bool {
        self.has_own(PROBING)
    }

    pub(super) fn set_probing(&self, probing: bool) {
        self.set_own(PROBING, probing);
    }

    fn has_own(&self, bit: u8) -> bool {
        self.flags.own.load(Relaxed) & bit != 0
    }

    /// One task writes them, so this is no read-modify-write.
    fn set_own(&self, bits: u8, on: bool) {
        let own = self.flags.own.load(Relaxed);
        self.flags
            .own
            .store(if on { own | bits } else { own & !bits }, Relaxed);
    }

    /// The peer acknowledges what it's told and makes room for what it's sent, until it has read
    /// the last word; so it's waited for at the end.
    #[cfg_attr(
        not(feature = "http2"),
        expect(dead_code, reason = "only HTTP/2 has such peers")
    )]
    pub(crate) fn always_linger(&self) {
        self.set_lingering(Lingering::Always);
    }

    /// The peer may be sending what isn't read; so it's waited for at the end.
    pub(crate) fn linger_at_close(&self) {
        let (no, will) = (Lingering::No as u8, Lingering::Will as u8);
        let _ = self
            .flags
            .lingering
            .compare_exchange(no, will, Relaxed, Relaxed);
    }

    /// What the peer has sent has been read.
    pub(crate) fn cancel_linger(&self) {
        self.set_lingering(Lingering::No);
    }

    /// The peer left, or has taken nothing for too long: what was written and not sent yet is not
    /// sent any more.
    pub(crate) fn discard_unsent(&self) {
        self.set_own(DISCARD_UNSENT, true);
    }

    pub(super) fn discards_unsent(&self) -> bool {
        self.has_own(DISCARD_UNSENT)
    }

    /// The peer has ended its sending half, and is answered nevertheless.
    pub(super) fn set_half_closed(&self) {
        self.set_own(HALF_CLOSED, true);
    }

    pub(super) fn is_half_closed(&self) -> bool {
        self.has_own(HALF_CLOSED)
    }

    /// The server is about to drop the connection, which isn't cut off, but ends: its peer is told.
    pub(crate) fn set_graceful_close(&self) {
        self.set_own(GRACEFUL_CLOSE, true);
    }

    pub(super) fn closes_gracefully(&self) -> bool {
        self.has_own(GRACEFUL_CLOSE)
    }

    /// What begins to be sent ends with the connection: until it's shut down in order, it ends in a
    /// reset, or a part would look like all of it.
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
        self.set_lingering(Lingering::Does);
    }

    fn set_lingering(&self, lingering: Lingering) {
        self.flags.lingering.store(lingering as u8, Relaxed);
    }

    pub(super) fn lingers(&self) -> bool {
        let lingering = self.flags.lingering.load(Relaxed);
        lingering > Lingering::Will as u8
            || !self.has_external_pollers()
                && (lingering == Lingering::Will as u8 || self.is_being_read())
    }

    /// Whether all has been said, and only the peer's end is waited for.
    pub(crate) fn is_lingering(&self) -> bool {
        self.flags.lingering.load(Relaxed) == Lingering::Does as u8
    }

    /// What the task was to be woken for has come.
    pub(crate) fn set_due(&self) {
        self.flags.due.store(true, Relaxed);
    }

    /// Whether what the task was to be woken for has come, since this was last asked. Then there's
    /// nothing that it's to be woken for.
    pub(crate) fn take_due(&self) -> bool {
        let due = self.is_due();
        if due {
            self.flags.due.store(false, Relaxed);
            // Whatever it was woken for: a probe that is still wanted asks for the next one.
            self.set_own(PROBING, false);
        }
        due
    }

    /// The same for the I/O object of an upgraded connection, which must not write the task's flags.
    pub(crate) fn take_due_upgraded(&self) -> bool {
        let due = self.is_due();
        if due {
            self.flags.due.store(false, Relaxed);
        }
        due
    }

    pub(crate) fn is_due(&self) -> bool {
        self.flags.due.load(Relaxed)
    }

    /// It ends in a drain because its peer was silent in the middle of something.
    pub(crate) fn set_stalled(&self) {
        self.flags.stalled.store(true, Relaxed);
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.flags.stalled.load(Relaxed)
    }
}
