//! What the server knows of one connection, for as long as any part of it lives.
use super::{Config, Stage, WorkerState, conn_flags::Flags};
#[cfg(feature = "tracing")]
use crate::transport::Endpoint;
use crate::{
    config::Timeouts,
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

/// A write of more bytes is counted as a large one: protocols send less by themselves, such as
/// pings, acknowledgements and a window update or three (RFC 9113 6).
const SMALL_WRITE: usize = 64;

/// The state of one connection. It's owned by the connection's task *and* by its I/O object, so an
/// upgraded stream that an app took elsewhere is still counted, drained and aborted.
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
    external_wakers: OnceLock<Box<ExternalWakers>>,
    /// How often something was read. Written by the reading task alone.
    reads: AtomicU32,
    /// How often something was written. Written by the writing task alone.
    writes: AtomicU32,
    /// How many of the writes were large: more than what a protocol sends by itself.
    large_writes: AtomicU32,
    /// How many tasks of their own it has.
    subtasks: AtomicU32,
    /// How many there are who read what the peer sends, in whichever task.
    readers: AtomicU32,
    /// The peer takes nothing at the moment. Written by the writing task alone.
    blocked: AtomicBool,
    /// Its own task is in the middle of something, after which it looks at everything. Written by
    /// that task alone.
    busy: AtomicBool,
    pub(super) flags: Flags,
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

/// Wakes whoever has a part of the connection in another task than its own.
#[derive(Debug, Default)]
pub(crate) struct ExternalWakers {
    pub(crate) reader: WakerSlot,
    pub(crate) writer: WakerSlot,
    /// A raw handler that waits for the drain.
    pub(crate) drain: WakerSlot,
    /// How many bytes a stream that buffers had sent when it was last asked. Here, because hardly
    /// any connection is asked.
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
            external_wakers: OnceLock::new(),
            reads: AtomicU32::new(0),
            writes: AtomicU32::new(0),
            large_writes: AtomicU32::new(0),
            subtasks: AtomicU32::new(0),
            readers: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            busy: AtomicBool::new(false),
            flags: Flags::default(),
            #[cfg(feature = "tracing")]
            span: None,
        }
    }

    /// Whatever is logged on behalf of the connection is in its span.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_span(mut self, peer: &Endpoint) -> Self {
        let span = tracing::debug_span!(target: "anyport", "connection", conn.id = self.id, peer.addr = %peer);
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

    /// Whether the peer is to be told to make a new connection next time.
    pub(crate) fn announces_close(&self) -> bool {
        self.stage() >= Stage::LameDuck || self.is_old()
    }

    pub(crate) fn config(&self) -> &Config {
        self.worker.config()
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.config().timeouts
    }

    pub(crate) fn now(&self) -> Instant {
        self.worker.now()
    }

    /// Whether the connection's own task is in the middle of something, after which it looks at
    /// everything.
    pub(crate) fn set_busy(&self, busy: bool) {
        // Against the end of a reader on another thread: one of the two sees what the other did.
        if self.busy.load(Relaxed) != busy {
            self.busy.store(busy, SeqCst);
        }
    }

    /// A task of its own begins.
    pub(crate) fn begin_subtask(&self) {
        self.subtasks.fetch_add(1, Relaxed);
    }

    /// A task of its own ends: the connection's has to see that it may be idle now.
    pub(crate) fn end_subtask(&self) {
        if self.subtasks.fetch_sub(1, Relaxed) == 1 {
            self.task.wake();
        }
    }

    pub(crate) fn has_subtasks(&self) -> bool {
        self.subtasks.load(Relaxed) > 0
    }

    /// Somebody begins to read what the peer sends: nobody else does until
    /// [`end_reading`](Self::end_reading).
    pub(crate) fn begin_reading(&self) {
        self.readers.fetch_add(1, Relaxed);
    }

    /// All has been read, or given up, in whichever task.
    pub(crate) fn end_reading(&self) {
        if self.readers.fetch_sub(1, SeqCst) == 1 && !self.busy.load(SeqCst) && !self.has_subtasks()
        {
            self.task.wake();
        }
    }

    pub(crate) fn is_being_read(&self) -> bool {
        self.readers.load(SeqCst) > 0
    }

    pub(crate) fn count_read(&self) {
        increment(&self.reads);
    }

    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Relaxed)
    }

    pub(crate) fn count_write(&self, bytes: usize) {
        if bytes > SMALL_WRITE {
            increment(&self.large_writes);
        }
        increment(&self.writes);
        self.set_blocked(false);
    }

    /// Whether the peer takes nothing of what there is for it.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        // Written only if that changes something, so that it stays in the caches of those who read
        // it.
        if self.is_blocked() != blocked {
            self.blocked.store(blocked, Relaxed);
        }
    }

    /// A stream that buffers has sent so many bytes so far: something left it, although no write
    /// succeeded.
    pub(super) fn note_sent(&self, bytes: u64) {
        if self.external_wakers().sent.swap(bytes, Relaxed) != bytes {
            increment(&self.writes);
        }
    }

    pub(crate) fn large_writes(&self) -> u32 {
        self.large_writes.load(Relaxed)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// How often something was written, if the peer takes nothing now.
    pub(crate) fn blocked_at(&self) -> Option<u32> {
        self.is_blocked().then(|| self.writes.load(Relaxed))
    }

    /// Has the connection's task polled again at `at`, or earlier: a deadline that moved further
    /// away is looked at when the old one is reached, so that moving it costs nothing. `None` is
    /// never.
    pub(crate) fn wake_at(&self, at: Option<Instant>) {
        if let Some(at) = at {
            self.worker.wake_at(self.key, at);
        }
    }

    /// Tells the observer, if there's one.
    pub(crate) fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        self.config().observe(event);
    }

    pub(crate) fn panicked(&self, message: &str) {
        self.observe(|| Event::Panicked {
            id: self.id,
            message,
        });
    }

    /// The server ends it, in order, because its peer took too long; `stalled`: for a drain.
    pub(crate) fn end(&self, why: Option<TimedOut>, stalled: bool) {
        if let Some(why) = why {
            self.timed_out(why);
        }
        if stalled {
            self.set_stalled();
        }
        self.set_graceful_close();
    }

    pub(crate) fn timed_out(&self, what: TimedOut) {
        self.observe(|| Event::TimedOut { id: self.id, what });
    }

    pub(crate) fn external_wakers(&self) -> &ExternalWakers {
        self.external_wakers.get_or_init(Box::default)
    }

    /// Has every task that waits for this connection look at it again.
    pub(crate) fn wake(&self) {
        self.task.wake();
        if let Some(others) = self.external_wakers.get() {
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
        self.observe(|| Event::Closed {
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

    /// With the two counters of its `Arc`, it's 128 bytes: a size that allocators have, and one
    /// that's the processor's.
    #[test]
    fn the_state_of_a_connection_keeps_its_size() {
        assert!(
            size_of::<ConnState>() <= 128 - 2 * size_of::<usize>(),
            "{}",
            size_of::<ConnState>()
        );
    }
}
