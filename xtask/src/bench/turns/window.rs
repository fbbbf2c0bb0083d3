//! One window: a fresh process, warmed up, and what it used while it answered.

use super::Course;
use super::noise::{Noise, Sample};
use crate::bench::build::Binaries;
use crate::bench::scenario::Scenario;
use crate::bench::server::Server;
use crate::bench::session::Session;
use crate::bench::target::{Allocator, Target};
use anyhow::Context as _;
use anyport_bench_load::Latency;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_millis(300);
/// Who says nothing for so long won't say anything any more: nothing slows a server down here.
const SILENCE: Duration = Duration::from_secs(5);
/// What a window takes beside its own duration, roughly: the start, the warm-up, the end.
pub(in crate::bench) const OVERHEAD: Duration = Duration::from_millis(500);

/// What a window brought.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Window {
    /// Microseconds of CPU time that each took.
    pub(super) time: f64,
    /// How many there were in a second.
    pub(super) rate: f64,
    /// The share of its cores' time in which the server had something to do.
    pub(super) busy: f64,
    /// The same of the load; 0 for one that's never busy.
    pub(super) load_busy: f64,
    /// Whether it was the load that chose the rate: then nobody has to be busy.
    pub(super) is_paced: bool,
    /// How late the answers were, if that was looked at.
    pub(super) latency: Option<Latency>,
    pub(super) noise: Noise,
    /// Why nothing of it counts, if nothing disturbed it.
    pub(super) objection: Option<String>,
}

impl Window {
    /// Microseconds within which so large a share of the answers came, or the slowest one for 1.
    pub(in crate::bench) fn latency_within(&self, share: f64) -> f64 {
        let latency = self.latency.as_ref();
        latency.map_or(f64::NAN, |latency| {
            latency.percentile(100.0 * share).as_secs_f64() * 1e6
        })
    }
}

/// Where load and server run; dropped, this thread runs where it did before.
#[derive(Debug)]
pub(super) struct Place {
    before: CpuSet,
    /// The cores of the server, one per worker if there are as many, and of the load, which is this thread; nothing if there's one core only.
    apart: Option<(Vec<usize>, usize)>,
}

impl Place {
    /// Pins this thread, if there's a core left for the server.
    pub(super) fn pin(workers: NonZeroUsize) -> anyhow::Result<Self> {
        let before = sched_getaffinity(None).context("cannot ask which cores there are")?;
        let mut cores: Vec<usize> = (0..CpuSet::MAX_CPU)
            .filter(|&core| before.is_set(core))
            .take(workers.get() + 1)
            .collect();
        let load = cores.pop().filter(|_| !cores.is_empty());
        let apart = load.map(|load| (cores, load));
        if let Some((_, load)) = apart {
            let mut own = CpuSet::new();
            own.set(load);
            sched_setaffinity(None, &own).with_context(|| format!("cannot pin the load to core {load}"))?;
        }
        Ok(Self { before, apart })
    }

    pub(super) fn is_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// How many the server has.
    pub(super) fn cores(&self) -> usize {
        self.apart.as_ref().map_or(1, |(server, _)| server.len())
    }

    /// Those of both; none if they have any.
    fn watched(&self) -> Vec<usize> {
        let apart = self.apart.iter();
        apart
            .flat_map(|(server, load)| server.iter().chain([load]))
            .copied()
            .collect()
    }

    fn wrapper(&self) -> Vec<OsString> {
        match &self.apart {
            Some((server, _)) => {
                let cores: Vec<String> = server.iter().map(ToString::to_string).collect();
                ["taskset", "-c", &cores.join(",")].map(OsString::from).to_vec()
            }
            None => Vec::new(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // They were good before.
        let _ = sched_setaffinity(None, &self.before);
    }
}

pub(super) fn measure(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    place: &Place,
    course: &Course,
    duration: Duration,
) -> anyhow::Result<Window> {
    // A handshake is none, and asks for nothing.
    let scenario = Scenario::named(course.workload);
    scenario.map_or(Ok(()), |scenario| target.check_serves(scenario))?;
    let mut server = session.start(
        binaries,
        target,
        scenario.unwrap_or(Scenario::PLAINTEXT),
        Allocator::Mimalloc,
        &place.wrapper(),
    )?;
    let window =
        load(session, target, &server, place, course, duration).map_err(|error| server.explain(error))?;
    server.stop()?;
    Ok(window)
}

fn load(
    session: &Session,
    target: Target,
    server: &Server,
    place: &Place,
    course: &Course,
    duration: Duration,
) -> anyhow::Result<Window> {
    let patience = session.patience.of(SILENCE);
    let mut load = (course.load)(course, target, server.address(), &patience)?;
    load.warm_up(WARM_UP)?;
    let cores = place.watched();
    let before = Sample::take(server.pid(), &cores)?;
    let begun = Instant::now();
    let done = load.run(duration)?;
    let seconds = begun.elapsed().as_secs_f64();
    let after = Sample::take(server.pid(), &cores)?;
    let nanoseconds = after.server_time_since(&before)?;
    let count = done.count as f64;
    Ok(Window {
        time: nanoseconds as f64 / 1000.0 / count,
        rate: done.rate.unwrap_or(count / seconds),
        busy: nanoseconds as f64 / 1e9 / seconds / place.cores() as f64,
        load_busy: done.effort.map_or(0.0, |effort| effort.busy()),
        is_paced: done.is_paced,
        latency: done.latency,
        noise: Noise {
            late: done.late,
            ..Noise::between(&before, &after)
        },
        objection: done.objection,
    })
}

#[cfg(test)]
mod tests {
    use super::{NonZeroUsize, Place, sched_getaffinity};

    #[test]
    fn a_thread_that_was_pinned_runs_where_it_did_before() {
        let before = sched_getaffinity(None).unwrap();
        let place = Place::pin(NonZeroUsize::MIN).unwrap();
        assert_eq!(place.is_apart(), before.count() > 1);
        assert_eq!(place.cores(), 1);
        let pinned = sched_getaffinity(None).unwrap();
        assert_eq!(pinned.count(), 1);
        drop(place);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
