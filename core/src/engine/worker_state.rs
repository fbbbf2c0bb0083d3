//! The state that a worker's accept loop and its connections share.
use super::{Config, ConnState, ServerState, ip_limits::IpSlot, timer_queue::TimerQueue};
use crate::{
    config::Timeouts,
    observe::{DrainReport, OpenConnections},
    runtime::{SharedTimer, WakerSlot, Worker, lock},
    transport::Endpoint,
};
use slab::Slab;
use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Waker},
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

/// The connections of one worker, and its drain.
pub(crate) struct WorkerState {
    pub(super) shared: Arc<ServerState>,
    pub(crate) worker: Worker,
    stage: AtomicU8,
    conns: Mutex<Conns>,
    /// Wakes the accept loop.
    pub(crate) accept_loop: WakerSlot,
    timer: OnceLock<SharedTimer>,
    drain: OnceLock<Drain>,
    /// Tasks that wait for a client. They are polled when the drain begins, because the drain
    /// limits the wait.
    at_drain: Mutex<Slab<Waker>>,
    /// When the worker last noticed that it had been paused.
    standstill: Mutex<Option<Instant>>,
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
    /// The length of the lame duck stage: also how long a connection that was accepted at its end
    /// may take to send its first bytes.
    pub(crate) lame_duck: Duration,
}

impl DrainBound {
    /// The time by which a client that is silent since `since` must have sent the rest.
    pub(crate) fn deadline(&self, since: Instant) -> Option<Instant> {
        self.begun.max(since).checked_add(self.share)
    }
}

#[derive(Default)]
struct Conns {
    open: Slab<Open>,
    deadlines: TimerQueue,
    report: DrainReport,
}

/// An open connection.
struct Open {
    conn: Weak<ConnState>,
    /// When to wake it.
    at: Option<Instant>,
}

/// A deadline that is noticed this much later shows that the worker was paused.
const LATE: Duration = Duration::from_millis(50);
/// The least time that clients get after a pause: enough for the driver to report everything that
/// arrived.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// A client that stops in the middle of a request gets this part of the grace period, and at least
/// this long.
const SHARE_OF_GRACE: u32 = 10;
const SHORTEST_SHARE: Duration = Duration::from_secs(1);

/// How many connections are woken at their deadlines before other tasks are polled.
const BATCH: usize = 512;

impl WorkerState {
    pub(crate) fn new(shared: Arc<ServerState>, worker: Worker) -> Self {
        Self {
            shared,
            worker,
            stage: AtomicU8::new(Stage::Serving as u8),
            conns: Mutex::default(),
            accept_loop: WakerSlot::default(),
            timer: OnceLock::new(),
            drain: OnceLock::new(),
            at_drain: Mutex::default(),
            standstill: Mutex::default(),
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
        let waiting: Vec<Waker> = lock(&self.at_drain)
            .iter()
            .map(|(_, waker)| waker.clone())
            .collect();
        waiting.into_iter().for_each(Waker::wake);
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
    /// is extended by [`SECOND_LOOK`], and the runtime asks its driver in the meantime.
    pub(crate) fn catch_up(&self, at: Instant, now: Instant) -> Instant {
        if now.saturating_duration_since(at) <= LATE {
            return at;
        }
        let mut standstill = lock(&self.standstill);
        let noticed = match *standstill {
            Some(noticed) if noticed >= at => noticed,
            _ => *standstill.insert(now),
        };
        noticed + SECOND_LOOK
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
        // Connections that linger have sent everything.
        let lingering = open.iter().filter(|conn| conn.is_lingering()).count();
        conns.report.completed += lingering;
        conns.report.aborted += conns.open.len() - lingering;
        conns.report.upgraded += open.iter().filter(|conn| conn.is_upgraded()).count();
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

    /// Registers a new connection, whose permit has been taken.
    #[cfg_attr(
        not(feature = "tracing"),
        expect(unused_variables, reason = "the peer is for the span")
    )]
    pub(crate) fn admit(
        self: &Arc<Self>,
        id: u64,
        peer: &Endpoint,
        ip: Option<IpSlot>,
        from_proxy: bool,
    ) -> Arc<ConnState> {
        let key = lock(&self.conns).open.insert(Open {
            conn: Weak::new(),
            at: None,
        });
        let conn = ConnState::new(Arc::clone(self), short(key), id, ip, from_proxy);
        #[cfg(feature = "tracing")]
        let conn = conn.with_span(peer);
        let conn = Arc::new(conn);
        if let Some(open) = lock(&self.conns).open.get_mut(key) {
            open.conn = Arc::downgrade(&conn);
        }
        conn
    }

    /// Has a connection's task polled at `at`, or at an earlier time that was set before.
    pub(super) fn wake_at(&self, key: u32, at: Instant) {
        let mut guard = lock(&self.conns);
        let conns = &mut *guard;
        let open = conns.open.get_mut(key as usize);
        let Some(open) = open.filter(|open| open.at.is_none_or(|old| at < old)) else {
            return;
        };
        let old = open.at.replace(at);
        let is_first = conns.deadlines.replace(key, old, Some(at));
        drop(guard);
        if is_first {
            self.accept_loop.wake();
        }
    }

    /// Wakes connections whose deadlines have passed: at most a batch of them. Returns the next
    /// deadline.
    pub(super) fn wake_due(&self, now: Instant) -> Option<Instant> {
        let mut conns = lock(&self.conns);
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(key) = conns.deadlines.pop(now)
        {
            if let Some(open) = conns.open.get_mut(key as usize) {
                open.at = None;
                due.extend(open.conn.upgrade());
            }
        }
        let next = conns.deadlines.next();
        drop(conns);
        for conn in due {
            conn.set_due();
            match conn.is_upgraded() {
                true => conn.wake(),
                false => conn.task.wake(),
            }
        }
        next
    }

    /// Removes a connection. `stalled`: a drain closed it.
    pub(super) fn forget(&self, key: u32, upgraded: bool, stalled: bool) {
        let mut conns = lock(&self.conns);
        let open = conns.open.remove(key as usize);
        let _ = conns.deadlines.replace(key, open.at, None);
        let stage = self.stage();
        if matches!(stage, Stage::LameDuck | Stage::Closing) {
            match stalled {
                true => conns.report.stalled += 1,
                false => conns.report.completed += 1,
            }
            conns.report.upgraded += usize::from(upgraded);
        }
        let was_last = conns.open.is_empty();
        let was_full = conns.open.len() + 1 >= self.shared.config.limits.connections_per_worker;
        drop(conns);
        if self.shared.permits.release() {
            self.shared.wake_workers();
        } else if was_full || (was_last && stage != Stage::Serving) {
            self.accept_loop.wake();
        }
    }

    /// Whether the worker has as many connections as it may.
    pub(crate) fn is_full(&self) -> bool {
        let limit = self.shared.config.limits.connections_per_worker;
        limit < usize::MAX && lock(&self.conns).open.len() >= limit
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.conns).open.len()
    }

    /// The open connections by kind.
    pub(crate) fn open(&self) -> OpenConnections {
        let conns = lock(&self.conns);
        let (all, live) = (conns.open.len(), conns.live());
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

    pub(crate) fn is_empty(&self) -> bool {
        self.connections() == 0
    }

    pub(crate) fn report(&self) -> DrainReport {
        lock(&self.conns).report
    }
}

/// A task's registration among those that are polled when the worker's drain begins.
#[derive(Debug, Default)]
pub(crate) struct AtDrain(Option<(usize, Waker)>);

impl AtDrain {
    /// Registers the task that is being polled.
    pub(crate) fn register(&mut self, worker: &WorkerState, cx: &Context<'_>) {
        if self
            .0
            .as_ref()
            .is_some_and(|(_, waker)| waker.will_wake(cx.waker()))
        {
            return;
        }
        self.leave(worker);
        let key = lock(&worker.at_drain).insert(cx.waker().clone());
        self.0 = Some((key, cx.waker().clone()));
    }

    pub(crate) fn leave(&mut self, worker: &WorkerState) {
        if let Some((key, _)) = self.0.take() {
            // Dropping a waker may run any code, so the lock is free.
            let waker = lock(&worker.at_drain).try_remove(key);
            drop(waker);
        }
    }
}

impl Conns {
    fn live(&self) -> Vec<Arc<ConnState>> {
        self.open
            .iter()
            .filter_map(|(_, open)| open.conn.upgrade())
            .collect()
    }
}

/// The key of a connection in four bytes: a process has fewer descriptors than that.
fn short(key: usize) -> u32 {
    #[expect(
        clippy::expect_used,
        reason = "a process can't have that many descriptors"
    )]
    u32::try_from(key).expect("fewer connections than 2^32")
}

impl fmt::Debug for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerState")
            .field("worker", &self.worker)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}
