//! The open connections of one worker, with their deadlines.
use super::timer_queue::TimerQueue;
use crate::observe::DrainReport;
use slab::Slab;
use std::{
    sync::{Arc, Weak},
    time::Instant,
};

/// How many connections are woken at their deadlines before other tasks are polled.
const BATCH: usize = 512;

/// A connection, as its worker uses it.
pub(crate) trait OpenConn: Send + Sync + 'static {
    /// Wakes every task that waits for the connection.
    fn wake(&self);

    /// The connection's deadline has passed.
    fn wake_due(&self);

    fn is_upgraded(&self) -> bool;

    /// Whether everything has been sent, and the close waits for the client's end.
    fn is_lingering(&self) -> bool;
}

/// The open connections, and the numbers of those that ended in a drain.
pub(super) struct OpenConns<C> {
    open: Slab<Open<C>>,
    deadlines: TimerQueue,
    report: DrainReport,
}

struct Open<C> {
    conn: Weak<C>,
    /// When to wake it.
    at: Option<Instant>,
}

impl<C: OpenConn> OpenConns<C> {
    pub(super) fn new() -> Self {
        Self {
            open: Slab::new(),
            deadlines: TimerQueue::default(),
            report: DrainReport::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn report(&self) -> DrainReport {
        self.report
    }

    /// The key of a new connection, in four bytes.
    pub(super) fn reserve(&mut self) -> u32 {
        let key = self.open.insert(Open {
            conn: Weak::new(),
            at: None,
        });
        #[expect(
            clippy::expect_used,
            reason = "a process cannot have that many descriptors"
        )]
        u32::try_from(key).expect("fewer connections than 2^32")
    }

    pub(super) fn register(&mut self, key: u32, conn: &Arc<C>) {
        if let Some(open) = self.open.get_mut(key as usize) {
            open.conn = Arc::downgrade(conn);
        }
    }

    pub(super) fn remove(&mut self, key: u32) {
        let open = self.open.remove(key as usize);
        let _ = self.deadlines.replace(key, open.at, None);
    }

    /// Has a connection woken at `at`, or at an earlier time that was set before. `true`: the
    /// worker's timer would be too late.
    #[must_use]
    pub(super) fn wake_at(&mut self, key: u32, at: Instant) -> bool {
        let open = self.open.get_mut(key as usize);
        let Some(open) = open.filter(|open| open.at.is_none_or(|old| at < old)) else {
            return false;
        };
        let old = open.at.replace(at);
        self.deadlines.replace(key, old, Some(at))
    }

    /// The connections whose deadlines have passed, at most a batch of them, and the next deadline.
    pub(super) fn take_due(&mut self, now: Instant) -> (Vec<Arc<C>>, Option<Instant>) {
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(key) = self.deadlines.pop(now)
        {
            if let Some(open) = self.open.get_mut(key as usize) {
                open.at = None;
                due.extend(open.conn.upgrade());
            }
        }
        (due, self.deadlines.next())
    }

    /// Dropping one needs the worker's lock to be free: it may be the last reference.
    pub(super) fn live(&self) -> Vec<Arc<C>> {
        self.open
            .iter()
            .filter_map(|(_, open)| open.conn.upgrade())
            .collect()
    }

    /// Counts a connection that ended in a drain. `stalled`: the drain closed it.
    pub(super) fn count_ended(&mut self, upgraded: bool, stalled: bool) {
        match stalled {
            true => self.report.stalled += 1,
            false => self.report.completed += 1,
        }
        self.report.upgraded += usize::from(upgraded);
    }

    /// Counts the open connections as aborted, in an abort.
    pub(super) fn count_aborted(&mut self, live: &[Arc<C>]) {
        // Connections that linger have sent everything.
        let lingering = live.iter().filter(|conn| conn.is_lingering()).count();
        self.report.completed += lingering;
        self.report.aborted += self.open.len() - lingering;
        self.report.upgraded += live.iter().filter(|conn| conn.is_upgraded()).count();
    }
}
