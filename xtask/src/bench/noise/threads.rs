//! What the threads of a process had of the CPU, and how long they waited for it, as the scheduler
//! counts it.

use procfs::process::Process;
use std::collections::BTreeMap;

/// A process's threads by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads(BTreeMap<i32, Times>);

/// How long a thread ran, and how long it was ready to run and something else did, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    ran: u64,
    waited: u64,
}

impl Threads {
    /// All that are still there.
    pub(super) fn of(process: &Process) -> anyhow::Result<Self> {
        // A thread may end while it's looked at.
        let tasks = process.tasks()?.flatten();
        let times = tasks.filter_map(|task| {
            let stat = task.schedstat().ok()?;
            let (ran, waited) = (stat.sum_exec_runtime, stat.run_delay);
            Some((task.tid, Times { ran, waited }))
        });
        Ok(Self(times.collect()))
    }

    /// Whether none of these ended since.
    pub(super) fn has_all_of(&self, before: &Self) -> bool {
        before.0.keys().all(|thread| self.0.contains_key(thread))
    }

    /// What came in between.
    pub(super) fn since(&self, before: &Self) -> Self {
        let since = |(&thread, times): (&i32, &Times)| {
            let before = before.0.get(&thread).copied().unwrap_or_default();
            let ran = times.ran.saturating_sub(before.ran);
            let waited = times.waited.saturating_sub(before.waited);
            (thread, Times { ran, waited })
        };
        Self(self.0.iter().map(since).collect())
    }

    /// Both, where they share their cores.
    pub(super) fn beside(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn ran(&self) -> u64 {
        self.0.values().map(|times| times.ran).sum()
    }

    /// How long the one that waited longest did so without another one of these running, nor a
    /// child of theirs, which ran for so long; where they have several cores, it may have been
    /// longer.
    pub(super) fn waited_for_others(&self, children: u64) -> u64 {
        let ran = self.ran() + children;
        let waited = self
            .0
            .values()
            .map(|times| times.waited.saturating_sub(ran - times.ran));
        waited.max().unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Threads, Times};

    /// Threads that ran and waited so long, whose numbers begin with `first`.
    pub(in crate::bench::noise) fn threads(first: i32, times: &[(u64, u64)]) -> Threads {
        let times = times.iter().map(|&(ran, waited)| Times { ran, waited });
        Threads((first..).zip(times).collect())
    }

    #[test]
    fn only_what_came_in_between_counts() {
        let (before, after) = (threads(1, &[(5, 2)]), threads(1, &[(9, 5), (3, 0)]));
        let since = after.since(&before);
        assert_eq!((since.ran(), since.waited_for_others(0)), (4 + 3, 0));
        assert!(after.has_all_of(&before) && !before.has_all_of(&after));
    }

    #[test]
    fn threads_that_wait_for_each_other_wait_for_nobody_else() {
        assert_eq!(threads(1, &[(50, 50), (50, 50)]).waited_for_others(0), 0);
        assert_eq!(threads(1, &[(40, 60), (10, 0)]).waited_for_others(0), 50);
        assert_eq!(threads(1, &[]).waited_for_others(0), 0);
        assert_eq!(threads(1, &[(1, 60)]).waited_for_others(50), 10);
    }

    #[test]
    fn those_that_share_a_core_are_told_together() {
        let alone = threads(1, &[(40, 60)]);
        assert_eq!(alone.waited_for_others(0), 60);
        assert_eq!(
            alone.beside(threads(7, &[(50, 0)])).waited_for_others(0),
            10
        );
    }
}
