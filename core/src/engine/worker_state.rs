//! The state that a worker's accept loop and its connections share.
use super::{
    at_drain::DrainWaiters,
    config::Config,
    open_conns::{OpenConn, OpenConns},
    server_state::{ServerState, ServerWorker},
};
use crate::{
    config::Timeouts,
    observe::{DrainReport, OpenConnections},
    runtime::{SharedTimer, WakerSlot, Worker, lock},
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

/// The stage of a worker's drain. Each connection reads it once per poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// No drain.
    Serving,
    /// Still accepting and serving. Each response asks its client to reconnect elsewhere.
    LameDuck,
    /// No new connections. Idle connections close, busy ones finish.
    Closing,
    /// The grace period is over.
    Aborting,
}

/// The connections of one worker, its clock, and its drain.
///
/// A connection refers to its worker, so the worker is generic over the type `C` of its
/// connections. [`WorkerState`](super::WorkerState) is the type that the server uses.
pub(crate) struct WorkerStateOf<C> {
    pub(super) shared: Arc<ServerState>,
    pub(crate) worker: Worker,
    stage: AtomicU8,
    conns: Mutex<OpenConns<C>>,
    /// Wakes the accept loop.
    pub(crate) accept_loop: WakerSlot,
    timer: OnceLock<SharedTimer>,
    drain: OnceLock<Drain>,
    at_drain: DrainWaiters,
    /// When the worker last noticed that it had been paused.
    last_pause: Mutex<Option<Instant>>,
}

/// The drain in progress.
struct Drain {
    since: Instant,
    lame_duck: Duration,
}

/// How long clients may send nothing in a drain, so that one client does not decide how long the
/// drain takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainBound {
    pub(crate) begun: Instant,
    /// The part of the grace period for a client in the middle of a request.
    pub(crate) share: Duration,
    /// The length of the lame duck stage. In the closing stage, a connection has the same time
    /// after its accept to send its first bytes.
    pub(crate) lame_duck: Duration,
}

impl DrainBound {
    /// The time by which a client that is silent since `since` must have sent the rest.
    pub(crate) fn deadline(&self, since: Instant) -> Option<Instant> {
        self.begun.max(since).checked_add(self.share)
    }
}

/// A deadline that is noticed this much later shows that the worker was paused.
const LATE: Duration = Duration::from_millis(50);
/// The least time that clients get after a pause: enough for the driver to report everything that
/// arrived.
const CATCH_UP: Duration = Duration::from_millis(100);
/// A client that stops in the middle of a request gets this part of the grace period, and at least
/// this long.
const SHARE_OF_GRACE: u32 = 10;
const SHORTEST_SHARE: Duration = Duration::from_secs(1);

impl<C: OpenConn> WorkerStateOf<C> {
    pub(crate) fn new(shared: Arc<ServerState>, worker: Worker) -> Self {
        Self {
            shared,
            worker,
            stage: AtomicU8::new(Stage::Serving as u8),
            conns: Mutex::new(OpenConns::new()),
            accept_loop: WakerSlot::default(),
            timer: OnceLock::new(),
            drain: OnceLock::new(),
            at_drain: DrainWaiters::default(),
            last_pause: Mutex::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.shared.config.timeouts
    }

    /// Sets the worker's clock. Called once, by the worker.
    pub(crate) fn set_timer(&self, timer: SharedTimer) {
        let _ = self.timer.set(timer);
    }

    /// The worker's clock.
    ///
    /// # Panics
    ///
    /// Before [`set_timer`](Self::set_timer). The accept loop begins with that, and nothing asks
    /// for the time earlier.
    pub(crate) fn timer(&self) -> &SharedTimer {
        #[expect(
            clippy::expect_used,
            reason = "set before the accept loop exists; see above"
        )]
        self.timer
            .get()
            .expect("a worker has its clock before it has connections")
    }

    pub(crate) fn now(&self) -> Instant {
        self.timer().now()
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Serving,
            1 => Stage::LameDuck,
            2 => Stage::Closing,
            _ => Stage::Aborting,
        }
    }

    pub(crate) fn begin_lame_duck(&self, lame_duck: Duration) {
        let since = self.now();
        let _ = self.drain.set(Drain { since, lame_duck });
        self.enter(Stage::LameDuck);
        self.at_drain.wake_all();
    }

    pub(crate) fn drain_waiters(&self) -> &DrainWaiters {
        &self.at_drain
    }

    /// How long clients may send nothing, if the server drains.
    pub(crate) fn drain_bound(&self) -> Option<DrainBound> {
        if self.stage() == Stage::Serving {
            return None;
        }
        let drain = self.drain.get()?;
        Some(DrainBound {
            begun: drain.since,
            share: (self.shared.grace() / SHARE_OF_GRACE).max(SHORTEST_SHARE),
            lame_duck: drain.lame_duck,
        })
    }

    /// The end of a wait for a client since `since`: after `timeout`, or earlier if the server
    /// drains. `true`: the drain ends it.
    pub(crate) fn end_of_wait(&self, since: Instant, timeout: Duration) -> (Option<Instant>, bool) {
        let usual = since.checked_add(timeout);
        match self.drain_bound().and_then(|bound| bound.deadline(since)) {
            Some(drain) if usual.is_none_or(|usual| drain < usual) => (Some(drain), true),
            _ => (usual, false),
        }
    }

    /// The end of a wait for a client that was due at `at`, as seen at `now`.
    ///
    /// After a pause of the process, or a handler that computed for seconds, deadlines have passed
    /// while bytes wait in the kernel. So a deadline that is noticed more than [`LATE`] afterwards
    /// is extended by [`CATCH_UP`]. In that time, the runtime polls its driver.
    pub(crate) fn catch_up(&self, at: Instant, now: Instant) -> Instant {
        if now.saturating_duration_since(at) <= LATE {
            return at;
        }
        let mut last_pause = lock(&self.last_pause);
        let noticed = match *last_pause {
            Some(noticed) if noticed >= at => noticed,
            _ => *last_pause.insert(now),
        };
        noticed + CATCH_UP
    }

    pub(crate) fn begin_closing(&self) {
        if self.stage() < Stage::Closing {
            self.enter(Stage::Closing);
        }
    }

    /// Aborts and counts every open connection.
    pub(crate) fn begin_abort(&self) {
        let mut conns = lock(&self.conns);
        self.stage.store(Stage::Aborting as u8, Ordering::Relaxed);
        let open = conns.live();
        conns.count_aborted(&open);
        drop(conns);
        open.iter().for_each(|conn| conn.wake());
    }

    fn enter(&self, stage: Stage) {
        let conns = lock(&self.conns);
        self.stage.store(stage as u8, Ordering::Relaxed);
        let open = conns.live();
        // Waking, and dropping the last reference to a connection, need the lock to be free.
        drop(conns);
        open.iter().for_each(|conn| conn.wake());
    }

    /// The key of a new connection, whose permit has been taken.
    pub(super) fn reserve(&self) -> u32 {
        lock(&self.conns).reserve()
    }

    /// Registers the connection that has this key.
    pub(super) fn register(&self, key: u32, conn: &Arc<C>) {
        lock(&self.conns).register(key, conn);
    }

    /// Has a connection's task polled at `at`, or at an earlier time that was set before.
    pub(super) fn wake_at(&self, key: u32, at: Instant) {
        let is_first = lock(&self.conns).wake_at(key, at);
        if is_first {
            self.accept_loop.wake();
        }
    }

    /// Wakes connections whose deadlines have passed: at most a batch of them. Returns the next
    /// deadline.
    pub(super) fn wake_due(&self, now: Instant) -> Option<Instant> {
        let (due, next) = lock(&self.conns).take_due(now);
        for conn in due {
            conn.wake_due();
        }
        next
    }

    /// Removes a connection. `stalled`: a drain closed it.
    pub(super) fn forget(&self, key: u32, upgraded: bool, stalled: bool) {
        let mut conns = lock(&self.conns);
        conns.remove(key);
        let stage = self.stage();
        if matches!(stage, Stage::LameDuck | Stage::Closing) {
            conns.count_ended(upgraded, stalled);
        }
        let left = conns.len();
        drop(conns);
        let was_full = left + 1 >= self.shared.config.limits.connections_per_worker;
        if self.shared.permits.release() {
            self.shared.wake_workers();
        } else if was_full || (left == 0 && stage != Stage::Serving) {
            self.accept_loop.wake();
        }
    }

    /// Whether the worker has as many connections as it may.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.shared.config.limits.connections_per_worker;
        limit < usize::MAX && lock(&self.conns).len() >= limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.conns).len() == 0
    }

    pub(crate) fn report(&self) -> DrainReport {
        lock(&self.conns).report()
    }
}

impl<C: OpenConn> ServerWorker for WorkerStateOf<C> {
    fn now(&self) -> Instant {
        self.timer().now()
    }

    fn wake(&self) {
        self.accept_loop.wake();
    }

    fn connections(&self) -> usize {
        lock(&self.conns).len()
    }

    fn open(&self) -> OpenConnections {
        let conns = lock(&self.conns);
        let (all, live) = (conns.len(), conns.live());
        drop(conns);
        let upgraded = live.iter().filter(|conn| conn.is_upgraded()).count();
        let closing = live
            .iter()
            .filter(|conn| conn.is_lingering() && !conn.is_upgraded())
            .count();
        OpenConnections {
            upgraded,
            closing,
            others: all - upgraded - closing,
        }
    }
}

impl<C: OpenConn> fmt::Debug for WorkerStateOf<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerState")
            .field("worker", &self.worker)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
