//! The server's state of one connection. It lives as long as any part of the connection.
use super::{
    config::Config,
    conn_flags::Flags,
    external_wakers::ExternalWakers,
    ip_limits::IpSlot,
    open_conns::OpenConn,
    worker_state::{Stage, WorkerStateOf},
};
use crate::{
    config::Timeouts,
    observe::{Event, Refusal, TimedOut},
    runtime::WakerSlot,
    transport::Endpoint,
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{
            AtomicBool, AtomicU32,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Instant,
};

/// Larger writes are counted separately. A protocol's own frames are smaller: PING,
/// acknowledgements, a few WINDOW_UPDATE frames (RFC 9113 6).
const SMALL_WRITE: usize = 64;

/// The state of a worker that has such connections.
pub(crate) type WorkerState = WorkerStateOf<ConnState>;

/// The state of one connection, shared by the connection's task *and* its I/O object. So an
/// upgraded stream that an app moved elsewhere is still counted, drained and aborted.
///
/// Every idle connection has one, so its size has a budget: see the test below.
#[derive(Debug)]
pub(crate) struct ConnState {
    pub(crate) worker: Arc<WorkerState>,
    pub(crate) id: u64,
    pub(crate) accepted_at: Instant,
    key: u32,
    /// The [`IpSlot`] of the client's address, if there is a limit per address.
    ip: AtomicU32,
    /// Wakes the connection's own task. After that has ended in an upgrade, it wakes the reader.
    pub(crate) task: WakerSlot,
    /// Wakers of other tasks that wait for the connection.
    external_wakers: OnceLock<Box<ExternalWakers>>,
    /// The number of reads. Written only by the reading task.
    reads: AtomicU32,
    /// The number of writes. Written only by the writing task.
    writes: AtomicU32,
    /// The number of writes that were larger than a protocol's own frames.
    large_writes: AtomicU32,
    /// The number of responses that have a task of their own.
    subtasks: AtomicU32,
    /// The number of bodies that are being read, in any task.
    readers: AtomicU32,
    /// The client accepts no bytes at the moment. Written only by the writing task.
    blocked: AtomicBool,
    /// An HTTP/1 request that the connection's task polls is in progress. That task checks for
    /// bodies when the request ends, so the end of a body need not wake it. Written only by that
    /// task.
    busy: AtomicBool,
    /// The peer is a proxy. Its client is known after the handshake.
    from_proxy: bool,
    pub(crate) flags: Flags,
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

impl ConnState {
    /// A new connection of a worker, whose permit has been taken.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(unused_variables, reason = "the peer is for the span")
    )]
    pub(super) fn admit(
        worker: &Arc<WorkerState>,
        id: u64,
        peer: &Endpoint,
        ip: Option<IpSlot>,
        from_proxy: bool,
    ) -> Arc<Self> {
        let key = worker.reserve();
        let conn = Self::new(Arc::clone(worker), key, id, ip, from_proxy);
        #[cfg(feature = "tracing")]
        let conn = conn.with_span(peer);
        let conn = Arc::new(conn);
        worker.register(key, &conn);
        conn
    }

    fn new(
        worker: Arc<WorkerState>,
        key: u32,
        id: u64,
        ip: Option<IpSlot>,
        from_proxy: bool,
    ) -> Self {
        Self {
            key,
            id,
            accepted_at: worker.now(),
            worker,
            ip: AtomicU32::new(IpSlot::bits(ip)),
            from_proxy,
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

    /// Makes the span of the connection's log lines, if such spans are enabled.
    #[cfg(feature = "tracing")]
    fn with_span(mut self, peer: &Endpoint) -> Self {
        let span = tracing::debug_span!(target: "anyport", "connection", conn.id = self.id, peer.addr = %peer, client.addr = tracing::field::Empty);
        self.span = (!span.is_disabled()).then(|| Box::new(span));
        self
    }

    /// Applies the accept filter and the limit per address to the client of a proxy, which the
    /// handshake has named. Other clients were admitted at accept.
    pub(super) fn admit_client(&self, client: &Endpoint) -> Result<(), Refusal> {
        if !self.from_proxy {
            return Ok(());
        }
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.span {
            span.record("client.addr", tracing::field::display(client));
        }
        let slot = self.worker.shared.admission(client)?;
        self.ip.store(IpSlot::bits(slot), Relaxed);
        Ok(())
    }

    pub(crate) fn in_span<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.as_ref().map(|span| span.enter());
        f()
    }

    #[inline]
    pub(crate) fn stage(&self) -> Stage {
        self.worker.stage()
    }

    /// Whether the connection has to end now, even in the middle of a response.
    pub(crate) fn aborting(&self) -> bool {
        self.stage() == Stage::Aborting
    }

    /// Whether the client should make a new connection for its next request.
    pub(crate) fn announces_close(&self) -> bool {
        self.stage() >= Stage::LameDuck || self.flags.has_reached_age()
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

    /// Sets whether an HTTP/1 request that the connection's task polls is in progress.
    pub(crate) fn set_busy(&self, busy: bool) {
        // `SeqCst`: if a reader ends on another thread meanwhile, that reader sees this change, or
        // the task sees the reader's end.
        if self.busy.load(Relaxed) != busy {
            self.busy.store(busy, SeqCst);
        }
    }

    /// A response begins that has a task of its own.
    pub(crate) fn begin_subtask(&self) {
        self.subtasks.fetch_add(1, Relaxed);
    }

    /// The task of a response ends. The connection's task has to check whether the connection is
    /// idle.
    pub(crate) fn end_subtask(&self) {
        if self.subtasks.fetch_sub(1, Relaxed) == 1 {
            self.task.wake();
        }
    }

    pub(crate) fn has_subtasks(&self) -> bool {
        self.subtasks.load(Relaxed) > 0
    }

    /// A body is being read until [`end_reading`](Self::end_reading).
    pub(crate) fn begin_reading(&self) {
        self.readers.fetch_add(1, Relaxed);
    }

    /// A body has been read or dropped, in any task.
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

    /// Sets whether the client accepts no bytes.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        // Written only on a change, so that the cache lines of readers stay valid.
        if self.is_blocked() != blocked {
            self.blocked.store(blocked, Relaxed);
        }
    }

    /// Notes how many bytes a stream with a buffer of its own has sent so far. A higher number than
    /// before counts as a write, although no `poll_write` succeeded.
    pub(super) fn note_sent(&self, bytes: u64) {
        if self.external_wakers().replace_sent(bytes) != bytes {
            increment(&self.writes);
        }
    }

    pub(crate) fn large_writes(&self) -> u32 {
        self.large_writes.load(Relaxed)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Relaxed)
    }

    /// The number of writes, if the client accepts nothing now.
    pub(crate) fn blocked_at(&self) -> Option<u32> {
        self.is_blocked().then(|| self.writes.load(Relaxed))
    }

    /// Makes the worker wake the connection's task at `at` or earlier; `None` sets no deadline.
    /// Postponing a deadline costs nothing: the task is polled at the old one and sets the new one.
    pub(crate) fn wake_at(&self, at: Option<Instant>) {
        if let Some(at) = at {
            self.worker.wake_at(self.key, at);
        }
    }

    /// Sends an event to the observer, if there is one.
    pub(crate) fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        self.config().observe(event);
    }

    pub(crate) fn panicked(&self, message: &str) {
        self.observe(|| Event::Panicked {
            id: self.id,
            message,
        });
    }

    /// The server ends the connection because the client took too long. `stalled`: the report of a
    /// drain counts it as stalled.
    pub(crate) fn end(&self, why: Option<TimedOut>, stalled: bool) {
        if let Some(why) = why {
            self.timed_out(why);
        }
        if stalled {
            self.flags.set_stalled();
        }
        self.flags.set_graceful_close();
    }

    pub(crate) fn timed_out(&self, what: TimedOut) {
        self.observe(|| Event::TimedOut { id: self.id, what });
    }

    /// The waker slot of the task that waits to read, if that is not the connection's own task.
    pub(super) fn reader(&self) -> &WakerSlot {
        match self.flags.is_taskless() {
            true => &self.task,
            false => &self.external_wakers().reader,
        }
    }

    /// The connection's own task has ended. After an upgrade, the I/O object takes over the task's
    /// waker slot and deadline.
    pub(super) fn end_task(&self) {
        self.task.clear();
        if self.flags.is_upgraded() {
            self.flags.complete_upgrade();
            if self.external_wakers.get().is_some() {
                // The task may have set a deadline that the I/O object needs.
                self.flags.set_due();
                self.wake();
            }
        }
    }

    pub(crate) fn external_wakers(&self) -> &ExternalWakers {
        self.external_wakers.get_or_init(Box::default)
    }
}

impl OpenConn for ConnState {
    fn wake(&self) {
        self.task.wake();
        if let Some(others) = self.external_wakers.get() {
            others.wake_all();
        }
    }

    fn wake_due(&self) {
        self.flags.set_due();
        match self.flags.is_upgraded() {
            true => self.wake(),
            false => self.task.wake(),
        }
    }

    fn is_upgraded(&self) -> bool {
        self.flags.is_upgraded()
    }

    fn is_lingering(&self) -> bool {
        self.flags.is_lingering()
    }
}

/// Increments a counter that a single task writes: no atomic read-modify-write is needed.
fn increment(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Drop for ConnState {
    fn drop(&mut self) {
        if let Some(slot) = IpSlot::from_bits(*self.ip.get_mut()) {
            self.worker.shared.addresses.leave(slot);
        }
        let aborted = self.aborting() && !self.flags.is_lingering();
        let (id, upgraded) = (self.id, self.flags.is_upgraded());
        self.observe(|| Event::Closed {
            id,
            upgraded,
            aborted,
        });
        self.worker
            .forget(self.key, upgraded, self.flags.is_stalled());
    }
}

#[cfg(all(test, not(feature = "tracing")))]
mod tests {
    use super::*;

    /// With the two counters of its `Arc`, the state has 128 bytes: an allocator's size class, and
    /// two cache lines.
    #[test]
    fn state_of_a_connection_has_128_bytes() {
        assert!(
            size_of::<ConnState>() <= 128 - 2 * size_of::<usize>(),
            "{}",
            size_of::<ConnState>()
        );
    }
}
