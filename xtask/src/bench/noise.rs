//! What else the machine did during a window: a round in which it did much says nothing about the
//! servers.
//!
//! What others had is known from two sides. The scheduler counts in nanoseconds how long threads of
//! ours had to wait for it; what others had while ours slept is what's left of the cores' time,
//! which is known by ticks only. A window is thrown away for what's certain by one of them.

mod threads;

use anyhow::Context as _;
use anyport_bench_load::children_time;
use procfs::process::Process;
use procfs::{CpuTime, CurrentSI as _, KernelStats};
use std::collections::BTreeMap;
use std::time::Instant;
use threads::Threads;

/// The share of a window's CPU time that the hypervisor may have given to others.
const MOST_STOLEN: f64 = 0.02;
/// The share that other processes may have had.
const MOST_FOREIGN: f64 = 0.05;

/// By how many ticks the idle time of a core may be wrong: the kernel knows it better, but tells
/// it, and what was stolen, in whole ticks.
const TICKS: u64 = 2;

/// The clocks at one moment; CPU times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Of each server.
    servers: BTreeMap<u32, Threads>,
    own: Threads,
    /// Of the loads that were processes of their own.
    children: u64,
    unused: u64,
    stolen: u64,
    cores: usize,
    /// Whether server and load have cores of their own.
    is_apart: bool,
    at: Instant,
}

/// What came in between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Noise {
    /// Shares of the time of the cores that server and load have.
    pub(super) stolen: f64,
    /// At least; more would be a guess.
    pub(super) foreign: f64,
}

impl Sample {
    /// `cores` are those on which server and load run; what happens on others is in nobody's way.
    /// None, if they share all. A server is known by the first of its processes.
    pub(super) fn take(servers: &[Vec<u32>], cores: &[usize]) -> anyhow::Result<Self> {
        let threads = |processes: &Vec<u32>| {
            let mut all = Threads::default();
            for &process in processes {
                let process =
                    Process::new(i32::try_from(process)?).context("the server is gone")?;
                all = all.beside(Threads::of(&process)?);
            }
            Ok((processes.first().copied().unwrap_or_default(), all))
        };
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
            servers: servers.iter().map(threads).collect::<anyhow::Result<_>>()?,
            own: Threads::of(&own)?,
            children: children_time()?.as_nanos() as u64,
            unused: nanoseconds(times.iter().map(|time| unused(time)).sum()),
            stolen: nanoseconds(times.iter().filter_map(|time| time.steal).sum()),
            cores: times.len(),
            is_apart: !cores.is_empty(),
            at: Instant::now(),
        })
    }

    /// What a server had of the CPU since then, in nanoseconds.
    ///
    /// # Errors
    ///
    /// When a thread of it ended meanwhile.
    pub(super) fn server_time_since(&self, before: &Self, server: u32) -> anyhow::Result<u64> {
        let both = self.servers.get(&server).zip(before.servers.get(&server));
        let (after, before) = both.context("the server wasn't looked at")?;
        anyhow::ensure!(
            after.has_all_of(before),
            "a thread of the server ended, and its CPU time can't be told"
        );
        Ok(after.since(before).ran())
    }

    /// What each server that's still there had of the CPU since then.
    fn servers_since(&self, before: &Self) -> Vec<Threads> {
        let servers = self.servers.iter();
        servers
            .filter_map(|(server, threads)| Some(threads.since(before.servers.get(server)?)))
            .collect()
    }
}

impl Noise {
    pub(super) fn between(before: &Sample, after: &Sample) -> Self {
        let elapsed = (after.at - before.at).as_nanos() as f64 * after.cores as f64;
        let spent = |value: fn(&Sample) -> u64| value(after).saturating_sub(value(before)) as f64;
        let (servers, own) = (after.servers_since(before), after.own.since(&before.own));
        let children = after.children.saturating_sub(before.children);
        let ran: u64 = servers.iter().map(Threads::ran).sum();
        let ours = (ran + own.ran() + children) as f64;
        let stolen = spent(|sample| sample.stolen);
        let error = nanoseconds(TICKS * after.cores as u64) as f64;
        let left_over = elapsed - spent(|sample| sample.unused) - stolen - ours - error;
        let waited = match &servers[..] {
            [server] if after.is_apart => {
                server.waited_for_others(0) + own.waited_for_others(children)
            }
            // One that's just had its turn may still have something to do in the next one's: nobody
            // waits for others then.
            [_, ..] if after.is_apart => own.waited_for_others(children),
            _ => {
                let all = servers.into_iter().fold(own, Threads::beside);
                all.waited_for_others(children)
            }
        };
        Self {
            stolen: stolen / elapsed,
            // A sample takes its time, too, if others are in the way, so that it may add up to
            // more.
            foreign: (left_over.max(waited as f64) / elapsed).min(1.0),
        }
    }

    /// What disturbed too much, if anything did, and its share.
    pub(super) fn disturbance(self) -> Option<(&'static str, f64)> {
        if self.stolen > MOST_STOLEN {
            Some(("CPU time that the hypervisor took", self.stolen))
        } else if self.foreign > MOST_FOREIGN {
            Some(("other processes' CPU time", self.foreign))
        } else {
            None
        }
    }
}

/// Clock ticks in which no process ran. Kernels count by the clock how long nothing did, where what
/// ran is whatever a tick found. Interrupts are the network's between server and load more than
/// anybody else's, and some kernels count them as nobody's.
fn unused(time: &CpuTime) -> u64 {
    let interrupts = time.irq.unwrap_or_default() + time.softirq.unwrap_or_default();
    time.idle + time.iowait.unwrap_or_default() + interrupts
}

fn nanoseconds(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / procfs::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::threads::tests::threads;
    use super::{BTreeMap, Noise, Sample, Threads};
    use rustix::process::Pid;
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    use std::process::{Child, Command};
    use std::time::{Duration, Instant};

    const SECOND: u64 = 1_000_000_000;

    fn sample(server: Threads) -> Sample {
        Sample {
            servers: BTreeMap::from([(1, server)]),
            own: Threads::default(),
            children: 6,
            unused: 7,
            stolen: 8,
            cores: 2,
            is_apart: true,
            at: Instant::now(),
        }
    }

    /// What a second on two cores brought, of which so much wasn't used.
    fn noise(server: &[(u64, u64)], unused: u64, stolen: u64) -> Noise {
        let before = sample(threads(1, &[]));
        let after = Sample {
            unused: 7 + unused,
            stolen: 8 + stolen,
            at: before.at + Duration::from_secs(1),
            ..sample(threads(1, server))
        };
        Noise::between(&before, &after)
    }

    const FOREIGN: Option<&str> = Some("other processes' CPU time");

    fn disturbance(noise: Noise) -> Option<&'static str> {
        noise.disturbance().map(|(what, _)| what)
    }

    #[test]
    fn a_quiet_machine_disturbs_nothing() {
        let noise = noise(&[(SECOND, 0)], SECOND, 0);
        assert_eq!((disturbance(noise), noise.foreign), (None, 0.0));
    }

    #[test]
    fn who_is_kept_waiting_is_disturbed_to_the_nanosecond() {
        let waits = |share: f64| {
            let waited = (share * SECOND as f64) as u64;
            disturbance(noise(&[(SECOND - waited, waited)], SECOND, 0))
        };
        assert_eq!(waits(0.099), None);
        assert_eq!(waits(0.101), FOREIGN);
    }

    #[test]
    fn what_others_had_while_the_server_slept_shows_if_it_is_more_than_ticks_may_be_wrong_by() {
        let others = |milliseconds| {
            let unused = 2 * SECOND - SECOND / 2 - milliseconds * SECOND / 1000;
            disturbance(noise(&[(SECOND / 2, 0)], unused, 0))
        };
        // 5 % of two cores, and two ticks of 10 ms on each.
        assert_eq!(others(139), None);
        assert_eq!(others(141), FOREIGN);
    }

    #[test]
    fn servers_that_take_turns_are_no_other_processes_to_each_other() {
        let before = sample(threads(1, &[]));
        let half = SECOND / 2;
        // The second one waited for the first one, which wasn't done when its turn was over.
        let after = Sample {
            servers: [
                (1, threads(1, &[(half, 0)])),
                (2, threads(2, &[(half, half)])),
            ]
            .into(),
            unused: 7 + SECOND,
            at: before.at + Duration::from_secs(1),
            ..sample(threads(1, &[]))
        };
        let before = Sample {
            servers: [(1, threads(1, &[])), (2, threads(2, &[]))].into(),
            ..before
        };
        assert_eq!(Noise::between(&before, &after).foreign, 0.0);
        let another = Sample {
            unused: after.unused - SECOND / 4,
            ..after
        };
        assert_eq!(disturbance(Noise::between(&before, &another)), FOREIGN);
    }

    #[test]
    fn a_load_on_the_servers_core_is_no_other_process() {
        let half = SECOND / 2;
        let on_one_core = |server| {
            let before = sample(threads(1, &[]));
            let after = Sample {
                own: threads(9, &[(half, half)]),
                at: before.at + Duration::from_secs(1),
                cores: 1,
                is_apart: false,
                ..sample(threads(1, &[server]))
            };
            disturbance(Noise::between(&before, &after))
        };
        assert_eq!(on_one_core((half, half)), None);
        assert_eq!(on_one_core((half / 2, 3 * half / 2)), FOREIGN);
    }

    #[test]
    fn a_greedy_hypervisor_shows() {
        let noise = noise(&[(SECOND, 0)], SECOND, SECOND / 20);
        assert_eq!(
            disturbance(noise),
            Some("CPU time that the hypervisor took")
        );
    }

    #[test]
    fn a_real_process_on_the_servers_core_shows() {
        let core = (0..CpuSet::MAX_CPU).find(|&core| sched_getaffinity(None).unwrap().is_set(core));
        let core = core.unwrap();
        let mut alone = CpuSet::new();
        alone.set(core);
        let busy = [(); 2].map(|()| {
            let mut shell = Command::new("sh");
            let child = Ended(shell.args(["-c", "while :; do :; done"]).spawn().unwrap());
            sched_setaffinity(Some(Pid::from_child(&child.0)), &alone).unwrap();
            child
        });
        let server = busy[0].0.id();
        let before = Sample::take(&[vec![server]], &[core]).unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while disturbance(Noise::between(
            &before,
            &Sample::take(&[vec![server]], &[core]).unwrap(),
        )) != FOREIGN
        {
            assert!(Instant::now() < end, "nobody was disturbed");
        }
    }

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_sample_of_this_process_has_its_time() {
        let id = std::process::id();
        let sample = Sample::take(&[vec![id]], &[]).unwrap();
        assert!(
            sample.servers[&id].ran() > 0 && sample.cores > 0,
            "{sample:?}"
        );
    }
}
