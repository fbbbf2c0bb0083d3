//! What the server knows of one connection, for as long as any part of it lives.
use super::{Stage, WakerSlot, WorkerState};
#[cfg(feature = "tracing")]
use crate::Endpoint;
use crate::{Event, observe::TimedOut};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

/// The most bytes of a write that isn't part of an answer: a ping, an acknowledgement, a window update or three (RFC 9113 6).
const HOUSEKEEPING: usize = 64;

/// The state of one connection. It's owned by the connection's task *and* by its I/O object, so an upgraded stream that an app
/// took elsewhere is still counted, drained and aborted.
#[derive(Debug)]
pub(crate) struct ConnState {
    pub(crate) worker: Arc<WorkerState>,
    key: usize,
    pub(crate) id: u64,
    pub(crate) accepted_at: Instant,
    /// The address that it counts for, if there's a limit per address.
    ip: Option<IpAddr>,
    /// Wakes the connection's own task.
    pub(crate) task: WakerSlot,
    /// Wakes a raw handler that waits for the drain.
    pub(crate) drain: WakerSlot,
    /// Wakes whoever waits for the I/O object; the same task, until an upgrade.
    pub(crate) reader: WakerSlot,
    pub(crate) writer: WakerSlot,
    /// How often something was read. Written by the reading task alone.
    reads: AtomicU32,
    /// How often something was written, and whether the peer takes nothing at the moment. Written by the writing task alone.
    writes: AtomicU32,
    blocked: AtomicBool,
    /// How many of the writes were part of an answer, not just of HTTP/2's housekeeping.
    answers: AtomicU32,
    /// How many requests there have been. Written by the connection's task alone.
    requests: AtomicU32,
    /// HTTP/1: one is being answered. Written by the connection's task alone.
    answering: AtomicBool,
    /// HTTP/2: how many streams there are, tunnels included.
    streams: AtomicU32,
    /// How many requests' bodies are being read.
    uploads: AtomicU32,
    upgraded: AtomicBool,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    /// It's to end, because it's old: its peer is told with the next response.
    leaving: AtomicBool,
}

impl ConnState {
    pub(super) fn new(worker: Arc<WorkerState>, key: usize, id: u64, ip: Option<IpAddr>) -> Self {
        Self {
            key,
            id,
            accepted_at: worker.now(),
            worker,
            ip,
            task: WakerSlot::default(),
            drain: WakerSlot::default(),
            reader: WakerSlot::default(),
            writer: WakerSlot::default(),
            reads: AtomicU32::new(0),
            writes: AtomicU32::new(0),
            blocked: AtomicBool::new(false),
            answers: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            answering: AtomicBool::new(false),
            streams: AtomicU32::new(0),
            uploads: AtomicU32::new(0),
            upgraded: AtomicBool::new(false),
            #[cfg(feature = "tracing")]
            span: tracing::Span::none(),
            leaving: AtomicBool::new(false),
        }
    }

    /// Whatever is logged on behalf of the connection is in its span.
    #[cfg(feature = "tracing")]
    pub(crate) fn with_span(mut self, peer: &Endpoint) -> Self {
        self.span =
            tracing::debug_span!(target: "anyport", "connection", conn.id = self.id, peer.addr = %peer);
        self
    }

    pub(crate) fn in_span<T>(&self, f: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        f()
    }

    pub(crate) fn stage(&self) -> Stage {
        self.worker.stage()
    }

    /// Whether the connection is to end now, whatever it's doing.
    pub(crate) fn aborting(&self) -> bool {
        self.stage() == Stage::Aborting
    }

    pub(crate) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Whether responses tell the peer to make a new connection next time.
    pub(crate) fn is_leaving(&self) -> bool {
        self.stage() >= Stage::LameDuck || self.leaving.load(Relaxed)
    }

    pub(crate) fn count_request(&self) {
        self.requests
            .store(self.requests.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// HTTP/1: whether a request is being answered, from its head to the end of its response.
    pub(crate) fn set_answering(&self, answering: bool) {
        self.answering.store(answering, Relaxed);
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
        if self.uploads.fetch_sub(1, Relaxed) == 1 && !self.is_answering() {
            self.task.wake();
        }
    }

    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Relaxed)
    }

    pub(crate) fn is_answering(&self) -> bool {
        self.answering.load(Relaxed) || self.streams.load(Relaxed) > 0
    }

    pub(crate) fn is_uploading(&self) -> bool {
        self.uploads.load(Relaxed) > 0
    }

    pub(crate) fn count_read(&self) {
        self.reads
            .store(self.reads.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(crate) fn reads(&self) -> u32 {
        self.reads.load(Relaxed)
    }

    pub(crate) fn count_write(&self, bytes: usize) {
        if bytes > HOUSEKEEPING {
            self.answers
                .store(self.answers.load(Relaxed).wrapping_add(1), Relaxed);
        }
        self.writes
            .store(self.writes.load(Relaxed).wrapping_add(1), Relaxed);
        self.set_blocked(false);
    }

    /// Whether the peer takes nothing of what there is for it.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        if self.blocked.load(Relaxed) != blocked {
            self.blocked.store(blocked, Relaxed);
        }
    }

    pub(crate) fn answers(&self) -> u32 {
        self.answers.load(Relaxed)
    }

    /// How often something was written, if the peer takes nothing now.
    pub(crate) fn blocked_at(&self) -> Option<u32> {
        self.blocked.load(Relaxed).then(|| self.writes.load(Relaxed))
    }

    /// The connection speaks something else now: a WebSocket, a tunnel.
    pub(crate) fn set_upgraded(&self) {
        self.upgraded.store(true, Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Relaxed)
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

    /// Has every task that waits for this connection look at it again.
    pub(crate) fn wake(&self) {
        self.task.wake();
        self.drain.wake();
        self.reader.wake();
        self.writer.wake();
    }
}

impl Drop for ConnState {
    fn drop(&mut self) {
        if let Some(ip) = self.ip {
            self.worker.shared.addresses.leave(ip);
        }
        let (id, upgraded, aborted) = (self.id, self.is_upgraded(), self.aborting());
        self.worker.shared.config.observe(|| Event::Closed {
            id,
            upgraded,
            aborted,
        });
        self.worker.forget(self.key, upgraded);
    }
}
