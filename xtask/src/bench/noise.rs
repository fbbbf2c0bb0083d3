//! What other programs did during a window: it disturbs the measurement.
//!
//! It is the time in which the cores neither idled nor ran our processes. The kernel counts the time
//! of cores in ticks of 10 ms.

use anyhow::Context as _;
use anyport_bench_load::children_time;
use procfs::process::Process;
use procfs::{CpuTime, CurrentSI as _, KernelStats};
use std::collections::BTreeMap;
use std::time::Instant;

/// The share of a window's CPU time that the hypervisor may take.
const MOST_STOLEN: f64 = 0.02;
/// The share that other processes may take.
const MOST_FOREIGN: f64 = 0.05;
/// By how many ticks the idle time of a core may be wrong.
const TICKS: u64 = 2;

/// All clocks at one moment, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// CPU time of each server's threads. The key is the server's first process.
    servers: BTreeMap<u32, Threads>,
    /// CPU time of this process, and of its children that have ended.
    load: u64,
    children: u64,
    unused: u64,
    stolen: u64,
    cores: usize,
}

/// CPU times by the numbers of threads.
type Threads = BTreeMap<i32, u64>;

/// The difference of two samples, in shares of the time of the cores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Noise {
    pub(super) stolen: f64,
    /// At least; the clocks do not tell more.
    pub(super) foreign: f64,
}

impl Sample {
    /// `servers` are the processes of each server, and `cores` those of servers and load. Without
    /// cores, all are sampled.
    pub(super) fn take(servers: &[Vec<u32>], cores: &[usize]) -> anyhow::Result<(Self, Instant)> {
        let times = |processes: &Vec<u32>| {
            let mut all = Threads::new();
            for &process in processes {
                let process = Process::new(i32::try_from(process)?);
                all.extend(threads(&process.context("the server is gone")?)?);
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
        let sample = Self {
            servers: servers.iter().map(times).collect::<anyhow::Result<_>>()?,
            load: threads(&own)?.values().sum(),
            children: children_time()?.as_nanos() as u64,
            unused: nanoseconds(ours.iter().map(|time| unused(time)).sum()),
            stolen: nanoseconds(ours.iter().filter_map(|time| time.steal).sum()),
            cores: ours.len(),
        };
        Ok((sample, Instant::now()))
    }

    /// CPU time of a server since then.
    pub(super) fn server_time_since(&self, before: &Self, server: u32) -> anyhow::Result<u64> {
        let both = self.servers.get(&server).zip(before.servers.get(&server));
        let (after, before) = both.context("the server has no sample")?;
        anyhow::ensure!(
            before.keys().all(|thread| after.contains_key(thread)),
            "a thread of the server ended, and its CPU time is unknown"
        );
        Ok(after.values().sum::<u64>() - before.values().sum::<u64>())
    }
}

impl Noise {
    /// `nanoseconds` passed between the samples.
    pub(super) fn between(before: &Sample, after: &Sample, elapsed: u64) -> Self {
        let spent = |of: fn(&Sample) -> u64| of(after).saturating_sub(of(before));
        let servers = spent(|sample| sample.servers.values().flat_map(Threads::values).sum());
        let stolen = spent(|of| of.stolen);
        let cores = elapsed * after.cores as u64;
        let error = nanoseconds(TICKS * after.cores as u64);
        let known = [
            spent(|of| of.unused),
            stolen,
            servers,
            spent(|of| of.load),
            spent(|of| of.children),
            error,
        ];
        let unknown = cores.saturating_sub(known.into_iter().sum());
        let share = |time: u64| (time as f64 / cores as f64).min(1.0);
        Self {
            stolen: share(stolen),
            foreign: share(unknown),
        }
    }

    /// What disturbed the window, if that was too much.
    pub(super) fn disturbance(self) -> Option<&'static str> {
        if self.stolen > MOST_STOLEN {
            return Some("CPU time that the hypervisor took");
        }
        (self.foreign > MOST_FOREIGN).then_some("other processes' CPU time")
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
    use super::{Noise, Sample, Threads};

    const SECOND: u64 = 1_000_000_000;
    const FOREIGN: Option<&str> = Some("other processes' CPU time");

    /// Two seconds of two cores, in which two servers and the load ran for half a second each.
    fn disturbance(change: impl FnOnce(&mut Sample)) -> Option<&'static str> {
        let server = |time| Threads::from([(1, time)]);
        let before = Sample {
            servers: [(1, server(5)), (2, server(6))].into(),
            cores: 2,
            ..Sample::default()
        };
        let mut after = Sample {
            servers: [(1, server(5 + SECOND / 2)), (2, server(6 + SECOND / 2))].into(),
            load: SECOND / 2,
            unused: 5 * SECOND / 2,
            cores: 2,
            ..Sample::default()
        };
        change(&mut after);
        Noise::between(&before, &after, 2 * SECOND).disturbance()
    }

    #[test]
    fn quiet_machine_disturbs_nothing() {
        assert_eq!(disturbance(|_| ()), None);
    }

    #[test]
    fn time_of_others_counts_beyond_the_error_of_ticks() {
        let others =
            |milliseconds: u64| disturbance(|sample| sample.unused -= milliseconds * SECOND / 1000);
        // 5 % of two cores, and two ticks of 10 ms on each.
        assert_eq!((others(239), others(241)), (None, FOREIGN));
    }

    #[test]
    fn hypervisor_that_takes_time_disturbs() {
        let stolen = disturbance(|sample| sample.stolen = SECOND / 10);
        assert_eq!(stolen, Some("CPU time that the hypervisor took"));
    }

    #[test]
    fn threads_that_ended_leave_no_time() {
        let sample = |threads: &[(i32, u64)]| Sample {
            servers: [(1, threads.iter().copied().collect())].into(),
            ..Sample::default()
        };
        let (one, two) = (sample(&[(1, 5)]), sample(&[(1, 9), (2, 3)]));
        assert_eq!(two.server_time_since(&one, 1).unwrap(), 7);
        one.server_time_since(&two, 1).unwrap_err();
    }
}
