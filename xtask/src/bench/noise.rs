//! What other programs and the hypervisor did during a window: it disturbs the measurement.
//!
//! It is the time in which the cores neither idled nor ran our processes. The kernel counts the
//! time of cores in ticks of 10 ms.

use anyhow::Context as _;
use anyport_bench_load::children_time;
use procfs::process::Process;
use procfs::{CpuTime, CurrentSI as _, KernelStats};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Instant;

/// The share of a window's CPU time that others may take.
pub(super) const MOST_FOREIGN: f64 = 0.05;
/// By how many ticks the idle time of a core may be wrong.
const TICKS: u64 = 2;

/// All clocks at one moment, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// CPU time of each server's threads. The key is the server's first process.
    servers: BTreeMap<i32, Threads>,
    /// CPU time of this process, and of its children that have ended.
    load: u64,
    children: u64,
    unused: u64,
    cores: usize,
    /// When it was taken, since some moment.
    at: u64,
}

/// CPU times by the numbers of threads.
type Threads = BTreeMap<i32, u64>;

impl Sample {
    /// `servers` are the processes of each server, and `cores` those of servers and load. Without
    /// cores, all are sampled.
    pub(super) fn take(servers: &[Vec<i32>], cores: &[usize]) -> anyhow::Result<Self> {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let times = |processes: &Vec<i32>| {
            let mut all = Threads::new();
            for &process in processes {
                let process = Process::new(process).context("the server is gone")?;
                all.extend(threads(&process)?);
            }
            Ok((processes.first().copied().unwrap_or_default(), all))
        };
        let own = Process::myself()?;
        let stats = KernelStats::current().context("cannot read /proc/stat")?;
        let all = stats.cpu_time.iter().enumerate();
        let is_ours = |core: usize| cores.is_empty() || cores.contains(&core);
        let ours: Vec<&CpuTime> = all
            .filter(|(core, _)| is_ours(*core))
            .map(|of| of.1)
            .collect();
        Ok(Self {
            servers: servers.iter().map(times).collect::<anyhow::Result<_>>()?,
            load: threads(&own)?.values().sum(),
            children: children_time()?.as_nanos() as u64,
            unused: nanoseconds(ours.iter().map(|time| unused(time)).sum()),
            cores: ours.len(),
            at: START.elapsed().as_nanos() as u64,
        })
    }

    /// CPU time of a server since then.
    pub(super) fn server_time_since(&self, before: &Self, server: i32) -> anyhow::Result<u64> {
        let both = self.servers.get(&server).zip(before.servers.get(&server));
        let (after, before) = both.context("the server has no sample")?;
        anyhow::ensure!(
            before.keys().all(|thread| after.contains_key(thread)),
            "a thread of the server ended, and its CPU time is unknown"
        );
        Ok(after.values().sum::<u64>() - before.values().sum::<u64>())
    }

    /// The share of the cores' time since then that others took at least. The clocks do not tell
    /// more.
    pub(super) fn foreign_since(&self, before: &Self) -> f64 {
        let spent = |of: fn(&Self) -> u64| of(self).saturating_sub(of(before));
        let cores = spent(|sample| sample.at) * self.cores as u64;
        let known = [
            spent(|sample| sample.servers.values().flat_map(Threads::values).sum()),
            spent(|sample| sample.unused),
            spent(|sample| sample.load),
            spent(|sample| sample.children),
            nanoseconds(TICKS * self.cores as u64),
        ];
        cores.saturating_sub(known.into_iter().sum()) as f64 / cores as f64
    }
}

/// The CPU times of the threads that still run.
fn threads(process: &Process) -> anyhow::Result<Threads> {
    let tasks = process.tasks()?.flatten();
    let times = tasks.filter_map(|task| Some((task.tid, task.schedstat().ok()?.sum_exec_runtime)));
    Ok(times.collect())
}

/// Clock ticks in which no process ran. Interrupts are those of the loopback network mostly, and
/// some kernels count them for no process.
fn unused(time: &CpuTime) -> u64 {
    let interrupts = time.irq.unwrap_or_default() + time.softirq.unwrap_or_default();
    time.idle + time.iowait.unwrap_or_default() + interrupts
}

fn nanoseconds(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / procfs::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::{Sample, Threads};

    const SECOND: u64 = 1_000_000_000;

    /// Of two seconds of two cores, in which two servers and the load ran for half a second each,
    /// and the cores were unused for so many milliseconds.
    fn foreign(unused: u64) -> f64 {
        let sample = |servers: u64| Sample {
            servers: [1, 2].map(|server| (server, [(1, servers)].into())).into(),
            cores: 2,
            ..Sample::default()
        };
        let after = Sample {
            load: SECOND / 2,
            unused: unused * SECOND / 1000,
            at: 2 * SECOND,
            ..sample(5 + SECOND / 2)
        };
        after.foreign_since(&sample(5))
    }

    #[test]
    fn time_of_others_counts_beyond_the_error_of_ticks() {
        assert_eq!(foreign(2500), 0.0);
        // Two ticks of 10 ms on each core.
        assert_eq!(foreign(2460), 0.0);
        assert_eq!(foreign(2060), 0.1);
    }

    #[test]
    fn threads_that_ended_leave_no_time() {
        let sample = |threads: &[(i32, u64)]| Sample {
            servers: [(1, Threads::from_iter(threads.iter().copied()))].into(),
            ..Sample::default()
        };
        let (one, two) = (sample(&[(1, 5)]), sample(&[(1, 9), (2, 3)]));
        assert_eq!(two.server_time_since(&one, 1).unwrap(), 7);
        one.server_time_since(&two, 1).unwrap_err();
    }
}
