//! What the server knows of one connection, for as long as any part of it lives.
use super::{Stage, WorkerState, flags::Flags, turn::Fault};
#[cfg(feature = "tracing")]
use crate::transport::Endpoint;
use crate::{
    observe::{Event, TimedOut},
    runtime::WakerSlot,
};
use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
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
    pub(super) flags: Flags,
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
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

    /// Has the connection's task polled again at `at`, or earlier: a deadline that moved further away is looked at when the old one is reached, so that
    /// moving it costs nothing. `None` is never.
    pub(crate) fn wake_at(&self, at: Option<Instant>) {
        if let Some(at) = at {
            self.worker.wake_at(self.key, at);
        }
    }

    pub(crate) fn panicked(&self, message: &str) {
        self.worker
            .shared
            .config
            .observe(|| Event::Panicked { id: self.id, message });
    }

    /// The app did something wrong.
    #[cold]
    pub(crate) fn report(&self, fault: &Fault) {
        match fault {
            Fault::Panic(message) => self.panicked(message),
            Fault::Response(what) => self
                .worker
                .shared
                .config
                .observe(|| Event::BadResponse { id: self.id, what }),
        }
    }

    pub(crate) fn timed_out(&self, what: TimedOut) {
        self.worker
            .shared
            .config
            .observe(|| Event::TimedOut { id: self.id, what });
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
        self.worker.forget(self.key, upgraded, self.is_stalled());
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
