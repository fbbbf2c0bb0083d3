//! The state that all workers of a server share: configuration, commands, and the result.
use super::{
    config::Config,
    ip_limits::{IpLimits, IpSlot},
    permits::Permits,
};
use crate::{
    error::{Error, Result},
    observe::{DrainReport, Event, OpenConnections, Refusal},
    runtime::{lock, panics},
    transport::{DrainBegins, Endpoint},
};
use slab::Slab;
use std::{
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// The longest lame duck stage: enough for each busy client to get a response.
const LAME_DUCK: Duration = Duration::from_secs(1);

/// The shortest time between two reports of a drain.
const DRAIN_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The command to all workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Command {
    Serve,
    Drain,
    Abort,
}

/// A worker, as its server uses it. A worker refers to its server, and the server refers back by
/// this trait only.
pub(super) trait ServerWorker: Send + Sync {
    /// The time on the worker's clock.
    fn now(&self) -> Instant;

    /// Wakes the accept loop.
    fn wake(&self);

    /// The number of open connections.
    fn connections(&self) -> usize;

    /// The open connections by kind.
    fn open(&self) -> OpenConnections;
}

pub(crate) struct ServerState {
    pub(crate) config: Config,
    pub(crate) permits: Permits,
    pub(crate) addresses: IpLimits,
    last_id: AtomicU64,
    command: AtomicU8,
    drain_begun: Mutex<Option<Instant>>,
    /// How long the drain may take, in nanoseconds since it began. Changed under the lock of
    /// `drain_begun`, and read without it.
    grace: AtomicU64,
    /// A worker's state lives as long as its accept loop or one of its connections.
    workers: Mutex<Vec<Weak<dyn ServerWorker>>>,
    outcome: Mutex<Outcome>,
    pub(crate) drain_begins: Arc<DrainBegins>,
    /// In a drain: when its connections were last counted for a report, and the result.
    counted: Mutex<Option<(Instant, Option<OpenConnections>)>>,
}

#[derive(Default)]
struct Outcome {
    running: usize,
    report: DrainReport,
    error: Option<Error>,
    waiting: Slab<Waker>,
}

impl ServerState {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            permits: Permits::new(config.limits.connections),
            addresses: IpLimits::new(config.limits.connections_per_ip),
            config,
            last_id: AtomicU64::new(0),
            command: AtomicU8::new(Command::Serve as u8),
            drain_begun: Mutex::default(),
            grace: AtomicU64::new(0),
            workers: Mutex::default(),
            outcome: Mutex::default(),
            drain_begins: Arc::default(),
            counted: Mutex::default(),
        }
    }

    /// Whether this client may connect, and the address that its connection counts for.
    pub(crate) fn admission(&self, client: &Endpoint) -> Result<Option<IpSlot>, Refusal> {
        if let Some(filter) = &self.config.filter
            && !panics::catch(|| filter(client)).unwrap_or(false)
        {
            return Err(Refusal::Filter);
        }
        self.addresses.enter(client).map_err(|()| Refusal::PerIp)
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn command(&self) -> Command {
        match self.command.load(Ordering::Acquire) {
            0 => Command::Serve,
            1 => Command::Drain,
            _ => Command::Abort,
        }
    }

    /// Begins a drain. A second call can only shorten the first drain.
    pub(crate) fn drain(&self, grace: Duration) {
        let now = self.now();
        let mut begun = lock(&self.drain_begun);
        let grace = match *begun {
            None => grace,
            Some(begun) => {
                let elapsed = now.saturating_duration_since(begun);
                self.grace().min(elapsed.saturating_add(grace))
            }
        };
        begun.get_or_insert(now);
        let nanoseconds = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        self.grace.store(nanoseconds, Ordering::Relaxed);
        drop(begun);
        self.issue(Command::Drain);
    }

    /// The workers' time, so that a paused clock pauses the drain, too.
    fn now(&self) -> Instant {
        let worker = lock(&self.workers).iter().find_map(Weak::upgrade);
        worker.map_or_else(Instant::now, |worker| worker.now())
    }

    /// Ends the server at once.
    pub(crate) fn abort(&self) {
        self.issue(Command::Abort);
    }

    fn issue(&self, command: Command) {
        self.command.fetch_max(command as u8, Ordering::AcqRel);
        self.wake_workers();
        self.drain_begins.begin();
    }

    /// How long the drain may take, from its beginning.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_nanos(self.grace.load(Ordering::Relaxed))
    }

    /// How long the workers go on accepting during the drain.
    pub(crate) fn lame_duck(&self) -> Duration {
        LAME_DUCK.min(self.grace() / 4)
    }

    pub(crate) fn wake_workers(&self) {
        self.live_workers().iter().for_each(|worker| worker.wake());
    }

    /// The number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.live_workers()
            .iter()
            .map(|worker| worker.connections())
            .sum()
    }

    /// The open connections by kind.
    pub(crate) fn open(&self) -> OpenConnections {
        let mut open = OpenConnections::default();
        for worker in self.live_workers() {
            open += worker.open();
        }
        open
    }

    /// Reports the remaining connections of a drain, if their number has changed. Returns when to
    /// call this again. Every worker calls it, and one call in each second reports.
    pub(crate) fn report_drain(&self, now: Instant, until: Option<Instant>) -> Option<Instant> {
        if self.config.observers.is_empty() {
            return None;
        }
        let again = now.checked_add(DRAIN_REPORT_INTERVAL);
        let mut counted = lock(&self.counted);
        let last = *counted;
        if last.is_some_and(|(at, _)| now.saturating_duration_since(at) < DRAIN_REPORT_INTERVAL) {
            return again;
        }
        *counted = Some((now, last.and_then(|(_, left)| left)));
        drop(counted);
        // Counting may drop a connection, which runs the observer, so the lock is free.
        let remaining = self.open();
        let left = lock(&self.counted).as_mut()?.1.replace(remaining);
        if left != Some(remaining) {
            self.config.observe(|| Event::Draining {
                remaining,
                grace: until.map_or(Duration::MAX, |until| until.saturating_duration_since(now)),
            });
        }
        again
    }

    /// The workers that still have an accept loop or a connection. The lock is free while the
    /// result is used.
    fn live_workers(&self) -> Vec<Arc<dyn ServerWorker>> {
        lock(&self.workers)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    pub(super) fn worker_began(&self, worker: Weak<dyn ServerWorker>) {
        lock(&self.workers).push(worker);
        lock(&self.outcome).running += 1;
    }

    pub(super) fn worker_ended(&self, report: DrainReport, result: Result<()>) {
        let mut outcome = lock(&self.outcome);
        outcome.report += report;
        let failed = result.is_err();
        if let Err(error) = result {
            outcome.error.get_or_insert(error);
        }
        if outcome.running == 1 {
            // The end of the drain is reported before the server's future is ready. No other worker
            // can end in the meantime.
            let report = outcome.report;
            drop(outcome);
            if lock(&self.counted).take().is_some() {
                self.config.observe(|| Event::Drained { report });
            }
            outcome = lock(&self.outcome);
        }
        outcome.running -= 1;
        let waiting = if outcome.running == 0 {
            std::mem::take(&mut outcome.waiting)
        } else {
            Slab::new()
        };
        drop(outcome);
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
        if failed {
            // The other workers finish what they have.
            self.drain(self.config.timeouts.drain);
        }
    }

    /// Ready when all workers have ended. `key` is the caller's key among the waiting tasks, for
    /// [`stop_waiting`](Self::stop_waiting).
    pub(crate) fn poll_end(
        &self,
        key: &mut Option<usize>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<DrainReport>> {
        let mut outcome = lock(&self.outcome);
        if outcome.running > 0 {
            let waker = cx.waker().clone();
            match key.and_then(|key| outcome.waiting.get_mut(key)) {
                Some(waiting) => *waiting = waker,
                None => *key = Some(outcome.waiting.insert(waker)),
            }
            return Poll::Pending;
        }
        Poll::Ready(match &outcome.error {
            Some(error) => Err(error.clone()),
            None => Ok(outcome.report),
        })
    }

    pub(crate) fn stop_waiting(&self, key: usize) {
        let waker = lock(&self.outcome).waiting.try_remove(key);
        drop(waker);
    }
}

impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("command", &self.command())
            .finish_non_exhaustive()
    }
}
