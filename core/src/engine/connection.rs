//! What the server knows of one connection, for as long as any part of it lives.
use super::{Stage, WakerSlot, WorkerState};
#[cfg(feature = "tracing")]
use crate::Endpoint;
use crate::{Event, observe::TimedOut};
use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Instant,
};

/// The most bytes of a write that isn't part of an answer: a ping, an acknowledgement, a window update or three (RFC 9113 6).
const HOUSEKEEPING: usize = 64;

/// The state of one connection. It's owned by the connection's task *and* by its I/O object, so an upgraded stream that an app
/// took elsewhere is still counted, drained and aborted.
///
/// Every idle connection has one, so its size is budgeted: see the test below.
#[derive(Debug)]
pub(crate) struct ConnState {
    pub(crate) worker: Arc<WorkerState>,
    pub(crate) id: u64,
    pub(crate) accepted_at: Instant,
    key: u32,
    /// The address that it counts for, if there's a limit per address.
    ip: Option<Box<IpAddr>>,
    /// Wakes the connection's own task.
    pub(crate) task: WakerSlot,
    /// Those who wait for the connection in other tasks.
    others: OnceLock<Box<Others>>,
    /// How often something was read. Written by the reading task alone.
    reads: AtomicU32,
    /// How often something was written. Written by the writing task alone.
    writes: AtomicU32,
    /// How many of the writes were part of an answer, not just of HTTP/2's housekeeping.
    answers: AtomicU32,
    /// HTTP/2: how many streams there are, tunnels included.
    streams: AtomicU32,
    /// How many requests' bodies are being read.
    uploads: AtomicU32,
    /// The peer takes nothing at the moment. Written by the writing task alone.
    blocked: AtomicBool,
    /// HTTP/1: one is being answered. Written by the connection's task alone.
    answering: AtomicBool,
    flags: Flags,
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

/// What happens to a connection once, or seldom.
#[derive(Debug, Default)]
struct Flags {
    /// Its I/O object may be polled by another task than its own.
    roams: AtomicBool,
    /// It speaks something else now: a WebSocket, a tunnel.
    upgraded: AtomicBool,
    /// Bits that the connection's own task alone writes: [`LEAVING`], [`PROBING`], [`DETACHING`], [`DISTURBED`], [`FORFEITED`].
    own: AtomicU8,
    /// It was closed in a drain, because its peer was silent in the middle of a request.
    stalled: AtomicBool,
    /// The deadline that the worker holds for it has passed.
    due: AtomicBool,
    /// A [`Lingering`].
    lingering: AtomicU8,
}

/// It is to end, because it is old: its peer is told with the next response.
const LEAVING: u8 = 1;
/// The worker wakes it for the next question about its peer.
const PROBING: u8 = 1 << 1;
/// Hyper is to give its I/O object back, without closing it.
const DETACHING: u8 = 1 << 2;
/// Hyper has done something else with it meanwhile.
const DISTURBED: u8 = 1 << 3;
/// Its peer left, or took nothing for too long: it is owed nothing more.
const FORFEITED: u8 = 1 << 4;

/// Whether a connection's peer is waited for when it's closed.
#[repr(u8)]
enum Lingering {
    No = 0,
    /// It may be sending a body still that isn't read; unless it speaks something else by then.
    Will,
    /// It speaks HTTP/2.
    #[cfg(feature = "http2")]
    Always,
    /// All has been said, and it's being waited for.
    Does,
}

/// Wakes whoever has a part of the connection in another task than its own.
#[derive(Debug, Default)]
pub(crate) struct Others {
    pub(crate) reader: WakerSlot,
    pub(crate) writer: WakerSlot,
    /// A raw handler that waits for the drain.
    pub(crate) drain: WakerSlot,
    /// How many bytes a stream that buffers had sent when it was last asked. Here, because hardly any connection is asked.
    sent: AtomicU64,
}

impl ConnState {
    pub(super) fn new(worker: Arc<WorkerState>, key: u32, id: u64, ip: Option<IpAddr>) -> Self {
        Self {
            key,
            id,
            accepted_at: worker.now(),
            worker,
            ip: ip.map(Box::new),
            task: WakerSlot::default(),
            others: OnceLock::new(),
            reads: AtomicU32::new(0),
            writes: AtomicU32::new(0),
            answers: AtomicU32::new(0),
            streams: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            answering: AtomicBool::new(false),
            flags: Flags::default(),
            #[cfg(feature = "tracing")]
            span: None,
        }
    }

    /// Whatever is logged on behalf of the connection is in its span.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_span(mut self, peer: &Endpoint) -> Self {
        let span =
            tracing::debug_span!(target: "anyport", "connection", conn.id = self.id, peer.addr = %peer);
        self.span = (!span.is_disabled()).then(|| Box::new(span));
        self
    }

    pub(crate) fn in_span<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.as_ref().map(|span| span.enter());
        f()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.worker.stage()
    }

    /// Whether the connection is to end now, whatever it's doing.
    pub(crate) fn aborting(&self) -> bool {
        self.stage() == Stage::Aborting
    }

    /// It's old: its peer is told to leave.
    pub(crate) fn leave(&self) {
        self.set_own(LEAVING, true);
    }

    pub(crate) fn is_old(&self) -> bool {
        self.has_own(LEAVING)
    }

    /// Whether responses tell the peer to make a new connection next time.
    pub(crate) fn is_leaving(&self) -> bool {
        self.stage() >= Stage::LameDuck || self.is_old()
    }

    /// HTTP/1: whether a request is being answered, from its head to the end of its response.
    pub(crate) fn set_answering(&self, answering: bool) {
        // Against the end of an upload on another thread: one of the two sees what the other did.
        if self.answering.load(Relaxed) != answering {
            self.answering.store(answering, SeqCst);
        }
    }

    /// HTTP/2: a stream begins.
    pub(crate) fn begin_stream(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// HTTP/2: a stream ends, in a task of its own: the connection's has to see that it may be idle now.
    pub(crate) fn end_stream(&self) {
        if self.streams.fetch_sub(1, Relaxed) == 1 {
            self.task.wake();
        }
    }

    /// A request's body begins to be read.
    pub(crate) fn begin_upload(&self) {
        self.uploads.fetch_add(1, Relaxed);
    }

    /// A request's body has been read, or given up, in whichever task.
    pub(crate) fn end_upload(&self) {
        if self.uploads.fetch_sub(1, SeqCst) == 1 && !self.answering.load(SeqCst) && !self.has_streams() {
            self.task.wake();
        }
    }

    pub(crate) fn has_streams(&self) -> bool {
        self.streams.load(Relaxed) > 0
    }

    pub(crate) fn is_uploading(&self) -> bool {
        self.uploads.load(SeqCst) > 0
    }

    pub(crate) fn count_read(&self) {
        increment(&self.reads);
    }

    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Relaxed)
    }

    pub(crate) fn count_write(&self, bytes: usize) {
        if bytes > HOUSEKEEPING {
            increment(&self.answers);
        }
        increment(&self.writes);
        self.set_blocked(false);
    }

    /// Whether the peer takes nothing of what there is for it.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        // Written only if that changes something, so that it stays in the caches of those who read it.
        if self.is_blocked() != blocked {
            self.blocked.store(blocked, Relaxed);
        }
    }

    /// A stream that buffers has sent so many bytes so far: something left it, although no write succeeded.
    pub(super) fn note_sent(&self, bytes: u64) {
        if self.others().sent.swap(bytes, Relaxed) != bytes {
            increment(&self.writes);
        }
    }

    pub(crate) fn answers(&self) -> u32 {
        self.answers.load(Relaxed)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// How often something was written, if the peer takes nothing now.
    pub(crate) fn blocked_at(&self) -> Option<u32> {
        self.is_blocked().then(|| self.writes.load(Relaxed))
    }

    /// From now on the I/O object is polled by the connection's own task only, which is woken for everything anyway; until an upgrade.
    pub(crate) fn stay_home(&self) {
        self.flags.roams.store(false, Relaxed);
    }

    pub(super) fn set_roaming(&self) {
        self.flags.roams.store(true, Relaxed);
    }

    pub(super) fn roams(&self) -> bool {
        self.flags.roams.load(Relaxed)
    }

    /// The connection speaks something else now: a WebSocket, a tunnel. Said before anybody gets hold of it.
    pub(crate) fn set_upgraded(&self) {
        self.set_roaming();
        self.flags.upgraded.store(true, Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.flags.upgraded.load(Relaxed)
    }

    /// Until [`end_detaching`](Self::end_detaching), shutting the I/O object down does nothing, and nothing can be read or written.
    pub(crate) fn begin_detaching(&self) {
        self.set_own(DETACHING, true);
        // So that reads and writes look.
        self.set_roaming();
    }

    /// Whether nothing was to be read or written meanwhile.
    pub(crate) fn end_detaching(&self) -> bool {
        if !self.is_upgraded() {
            self.stay_home();
        }
        let was_disturbed = self.has_own(DISTURBED);
        self.set_own(DETACHING | DISTURBED, false);
        !was_disturbed
    }

    /// Hyper reads or writes, so it wasn't idle.
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

    /// The peer of HTTP/2 acknowledges what it's told and makes room for what it's sent, until it has read the last word; so it's waited for at the end.
    #[cfg(feature = "http2")]
    pub(crate) fn always_linger(&self) {
        self.set_lingering(Lingering::Always);
    }

    /// The peer may be sending what isn't read; so it's waited for at the end.
    pub(crate) fn linger_at_close(&self) {
        let (no, will) = (Lingering::No as u8, Lingering::Will as u8);
        let _ = self.flags.lingering.compare_exchange(no, will, Relaxed, Relaxed);
    }

    /// What the peer has sent has been read.
    pub(crate) fn linger_no_more(&self) {
        self.set_lingering(Lingering::No);
    }

    /// The peer left, or has taken nothing for too long: what was written and not sent yet is not sent any more.
    pub(crate) fn forfeit(&self) {
        self.set_own(FORFEITED, true);
    }

    pub(super) fn is_forfeited(&self) -> bool {
        self.has_own(FORFEITED)
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
            || !self.roams() && (lingering == Lingering::Will as u8 || self.is_uploading())
    }

    /// Whether all has been said, and only the peer's end is waited for.
    pub(crate) fn is_lingering(&self) -> bool {
        self.flags.lingering.load(Relaxed) == Lingering::Does as u8
    }

    /// Has the connection's task polled again at `at`, or earlier: a deadline that moved further away is looked at when the old one is reached, so that
    /// moving it costs nothing. `None` is never.
    pub(crate) fn wake_at(&self, at: Option<Instant>) {
        if let Some(at) = at {
            self.worker.wake_at(self.key, at);
        }
    }

    /// What the task was to be woken for has come.
    pub(super) fn set_due(&self) {
        self.flags.due.store(true, Relaxed);
    }

    /// Whether what the task was to be woken for has come, since this was last asked. Then there's nothing that it's to be woken for.
    pub(crate) fn take_due(&self) -> bool {
        let due = self.is_due();
        if due {
            self.flags.due.store(false, Relaxed);
            // Whatever it was woken for: a probe that is still wanted asks for the next one.
            self.set_own(PROBING, false);
        }
        due
    }

    pub(crate) fn is_due(&self) -> bool {
        self.flags.due.load(Relaxed)
    }

    pub(crate) fn panicked(&self, message: &str) {
        self.worker
            .shared
            .config
            .observe(|| Event::Panicked { id: self.id, message });
    }

    pub(crate) fn timed_out(&self, what: TimedOut) {
        self.worker
            .shared
            .config
            .observe(|| Event::TimedOut { id: self.id, what });
    }

    /// It ends in a drain because its peer was silent in the middle of a request.
    pub(crate) fn set_stalled(&self) {
        self.flags.stalled.store(true, Relaxed);
    }

    pub(crate) fn others(&self) -> &Others {
        self.others.get_or_init(Box::default)
    }

    /// Has every task that waits for this connection look at it again.
    pub(crate) fn wake(&self) {
        self.task.wake();
        if let Some(others) = self.others.get() {
            others.drain.wake();
            others.reader.wake();
            others.writer.wake();
        }
    }
}

/// Adds one to what a single task writes: no read-modify-write.
fn increment(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Drop for ConnState {
    fn drop(&mut self) {
        if let Some(ip) = &self.ip {
            self.worker.shared.addresses.leave(**ip);
        }
        let aborted = self.aborting() && !self.is_lingering();
        let (id, upgraded) = (self.id, self.is_upgraded());
        self.worker.shared.config.observe(|| Event::Closed {
            id,
            upgraded,
            aborted,
        });
        let stalled = self.flags.stalled.load(Relaxed);
        self.worker.forget(self.key, upgraded, stalled);
    }
}

#[cfg(all(test, not(feature = "tracing")))]
mod tests {
    use super::*;

    /// With the two counters of its `Arc`, it's 128 bytes: a size that allocators have, and one that's the processor's.
    #[test]
    fn the_state_of_a_connection_keeps_its_size() {
        assert!(
            size_of::<ConnState>() <= 128 - 2 * size_of::<usize>(),
            "{}",
            size_of::<ConnState>()
        );
    }
}
