//! What else the machine did during a window: a round in which it did much says nothing about the servers.

use anyhow::Context as _;
use procfs::process::Process;
use procfs::{CpuTime, CurrentSI as _, KernelStats};
use std::time::Instant;

/// The share of a window's CPU time that the hypervisor may have given to others.
const MOST_STOLEN: f64 = 0.02;
/// The share that other processes may have had.
const MOST_FOREIGN: f64 = 0.05;

/// The share of requests that the load may have sent too late: what's left of the latencies below the 99.9th percentile is the server's.
const MOST_LATE: f64 = 0.001;

/// The clocks at one moment; CPU times in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) server: u64,
    own: u64,
    busy: u64,
    stolen: u64,
    cores: usize,
    at: Instant,
}

/// What came in between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Noise {
    /// Shares of the time of the cores that server and load have.
    pub(super) stolen: f64,
    pub(super) foreign: f64,
    /// The share of requests that the load sent too late.
    pub(super) late: f64,
}

impl Sample {
    /// `cores` are those on which server and load run; what happens on others is in nobody's way.
    pub(super) fn take(server: u32, cores: &[usize]) -> anyhow::Result<Self> {
        let server = i32::try_from(server)?;
        let own = Process::myself()?;
        let stats = KernelStats::current().context("cannot read /proc/stat")?;
        let times: Vec<&CpuTime> = match cores {
            [] => stats.cpu_time.iter().collect(),
            cores => cores
                .iter()
                .filter_map(|&core| stats.cpu_time.get(core))
                .collect(),
        };
        Ok(Self {
            server: cpu_time(&Process::new(server).context("the server is gone")?)?,
            own: cpu_time(&own)? + children_time(&own)?,
            busy: nanoseconds(times.iter().map(|time| busy(time)).sum()),
            stolen: nanoseconds(times.iter().filter_map(|time| time.steal).sum()),
            cores: times.len(),
            at: Instant::now(),
        })
    }
}

impl Noise {
    pub(super) fn between(before: &Sample, after: &Sample) -> Self {
        let elapsed = (after.at - before.at).as_nanos() as f64 * after.cores as f64;
        let spent = |value: fn(&Sample) -> u64| value(after).saturating_sub(value(before)) as f64;
        let ours = spent(|sample| sample.server) + spent(|sample| sample.own);
        Self {
            stolen: spent(|sample| sample.stolen) / elapsed,
            foreign: (spent(|sample| sample.busy) - ours) / elapsed,
            late: 0.0,
        }
    }

    /// What disturbed too much, if anything did, and its share.
    pub(super) fn disturbance(self) -> Option<(&'static str, f64)> {
        if self.stolen > MOST_STOLEN {
            Some(("CPU time that the hypervisor took", self.stolen))
        } else if self.foreign > MOST_FOREIGN {
            Some(("other processes' CPU time", self.foreign))
        } else if self.late > MOST_LATE {
            Some(("requests that the load sent too late", self.late))
        } else {
            None
        }
    }
}

/// On the CPU so far: of all threads that are still there.
fn cpu_time(process: &Process) -> anyhow::Result<u64> {
    let mut sum = 0;
    // A thread may end while it's looked at.
    for task in process.tasks()?.flatten() {
        sum += task.schedstat().map_or(0, |stat| stat.sum_exec_runtime);
    }
    Ok(sum)
}

/// That of the loads that were processes of their own, and of whatever else was waited for.
fn children_time(process: &Process) -> anyhow::Result<u64> {
    let stat = process.stat()?;
    let ticks = u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
    Ok(nanoseconds(ticks))
}

/// Clock ticks in which something ran.
fn busy(time: &CpuTime) -> u64 {
    time.user + time.nice + time.system + time.irq.unwrap_or_default() + time.softirq.unwrap_or_default()
}

fn nanoseconds(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / procfs::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::{Noise, Process, Sample, children_time};
    use std::process::Command;
    use std::time::{Duration, Instant};

    const SECOND: u64 = 1_000_000_000;

    /// What a second on two cores brought.
    fn noise(server: u64, own: u64, busy: u64, stolen: u64) -> Noise {
        let before = Sample {
            server: 5,
            own: 6,
            busy: 7,
            stolen: 8,
            cores: 2,
            at: Instant::now(),
        };
        let after = Sample {
            server: 5 + server,
            own: 6 + own,
            busy: 7 + busy,
            stolen: 8 + stolen,
            cores: 2,
            at: before.at + Duration::from_secs(1),
        };
        Noise::between(&before, &after)
    }

    #[test]
    fn a_quiet_machine_disturbs_nothing() {
        let noise = noise(SECOND, SECOND / 2, 3 * SECOND / 2, 0);
        assert_eq!(noise.disturbance(), None, "{noise:?}");
    }

    #[test]
    fn another_process_shows() {
        let noise = noise(SECOND, SECOND / 2, 3 * SECOND / 2 + SECOND / 5, 0);
        let (what, _) = noise.disturbance().unwrap();
        assert_eq!(what, "other processes' CPU time", "{noise:?}");
    }

    #[test]
    fn a_greedy_hypervisor_shows() {
        let noise = noise(SECOND, SECOND / 2, 3 * SECOND / 2, SECOND / 20);
        let (what, _) = noise.disturbance().unwrap();
        assert_eq!(what, "CPU time that the hypervisor took", "{noise:?}");
    }

    #[test]
    fn a_load_that_was_late_itself_shows() {
        let noise = Noise {
            late: 0.01,
            ..Noise::default()
        };
        let (what, _) = noise.disturbance().unwrap();
        assert_eq!(what, "requests that the load sent too late", "{noise:?}");
    }

    #[test]
    fn a_load_that_is_a_process_of_its_own_is_no_other_one() {
        let spent = || children_time(&Process::myself().unwrap()).unwrap();
        let before = spent();
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        Command::new("sh").args(["-c", busy]).status().unwrap();
        assert!(spent() > before);
    }

    #[test]
    fn a_sample_of_this_process_has_its_time() {
        let sample = Sample::take(std::process::id(), &[]).unwrap();
        assert!(sample.server > 0 && sample.cores > 0, "{sample:?}");
    }
}
