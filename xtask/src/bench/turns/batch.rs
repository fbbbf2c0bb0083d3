//! Those that are measured together: each in a fresh process, warmed up, and asked in turns for slices of a window, so that what the machine does meanwhile, a clock that changes or a
//! neighbour that's in the caches, meets all of them. What isn't in slices is measured alone.

use super::noise::{Noise, Sample};
use super::rounds::Measured;
use super::window::Window;
use super::{Course, Done, Load};
use crate::bench::build::Binaries;
use crate::bench::place::Place;
use crate::bench::scenario::Scenario;
use crate::bench::server::Server;
use crate::bench::session::Session;
use crate::bench::target::{Allocator, Target};
use anyport_bench_load::{Effort, Interrupted, Patience};
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_millis(300);
/// Of each of those that go in turns: the first of them has to wait for the others', and some close a connection that has been idle for 5 s.
const SHORT_WARM_UP: Duration = Duration::from_millis(100);
/// Who says nothing for so long won't say anything any more: nothing slows a server down here.
const SILENCE: Duration = Duration::from_secs(5);
/// What a window takes beside its own duration, roughly: the start, the warm-up, the end.
pub(in crate::bench) const OVERHEAD: Duration = Duration::from_millis(500);
/// How long each has a turn. In less it would do little but fill its caches; the more it is, the less do windows agree (`validate -- slices` in benches/load shows by how much). Ten at a
/// time come back before anyport's connections are asleep.
const SLICE: Duration = Duration::from_millis(10);
/// How often each connection is answered in a turn, at least: it ends when all are answered, and who comes last isn't to be taken for starved.
const ANSWERS: f64 = 5.0;

/// A server that's asked, and what came of it.
struct Contender {
    target: Target,
    server: Server,
    load: Box<dyn Load>,
    /// What it did in a second of its warm-up.
    rate: f64,
    count: u64,
    elapsed: Duration,
    effort: Option<Effort>,
    /// The latest run; of what isn't in slices, all there was.
    done: Done,
}

/// A window of each; or why it has none.
pub(super) fn measure(
    session: &Session,
    binaries: &Binaries,
    targets: &[Target],
    place: &Place,
    course: &Course,
    duration: Duration,
) -> Result<Measured, Interrupted> {
    let in_slices = course.is_in_slices(session);
    let warm_up = if in_slices { SHORT_WARM_UP } else { WARM_UP };
    let mut windows = Vec::new();
    let mut servers = Vec::new();
    for &target in targets {
        match start(session, binaries, target, place, course) {
            Ok(server) => servers.push((target, server)),
            Err(error) => windows.push((target, Err(error))),
        }
    }
    let patience = session.patience.of(SILENCE);
    let mut contenders = Vec::new();
    for (target, server) in servers {
        match Contender::begin(target, server, course, &patience, warm_up) {
            Ok(contender) => contenders.push(contender),
            Err(error) => windows.push((target, Err(error))),
        }
    }
    let slices = match in_slices {
        true => {
            let slowest = contenders
                .iter()
                .map(|contender| contender.rate)
                .fold(f64::MAX, f64::min);
            slices(duration, ANSWERS * course.connections as f64 / slowest)
        }
        false => 1,
    };
    let slice = duration / slices;
    if in_slices {
        // The first turn finds connections that have been idle for longer than between any others.
        contenders = take_turns(contenders, SLICE, &mut windows);
        contenders.iter_mut().for_each(Contender::forget);
    }
    let before = sample(&contenders, place);
    for _ in 0..slices {
        contenders = take_turns(contenders, slice, &mut windows);
    }
    let after = sample(&contenders, place);
    for contender in contenders {
        let target = contender.target;
        let window = match (&before, &after) {
            (Ok(before), Ok(after)) => contender.end(before, after, place),
            (Err(error), _) | (_, Err(error)) => Err(anyhow::anyhow!("{error:#}")),
        };
        windows.push((target, window));
    }
    if windows.iter().any(is_interrupted) {
        return Err(Interrupted);
    }
    Ok(windows)
}

/// A slice of each; who fails has no other.
fn take_turns(contenders: Vec<Contender>, slice: Duration, windows: &mut Measured) -> Vec<Contender> {
    let mut others = Vec::new();
    for mut contender in contenders {
        match contender.run(slice) {
            Ok(()) => others.push(contender),
            Err(error) => windows.push((contender.target, Err(contender.server.explain(error)))),
        }
    }
    others
}

/// In how many slices a window goes, if none may be shorter than so many seconds.
fn slices(window: Duration, shortest: f64) -> u32 {
    let shortest = shortest.max(SLICE.as_secs_f64());
    ((window.as_secs_f64() / shortest) as u32).max(1)
}

fn is_interrupted((_, window): &(Target, anyhow::Result<Window>)) -> bool {
    window.as_ref().is_err_and(|error| error.is::<Interrupted>())
}

fn sample(contenders: &[Contender], place: &Place) -> anyhow::Result<Sample> {
    let servers: Vec<u32> = contenders
        .iter()
        .map(|contender| contender.server.pid())
        .collect();
    Sample::take(&servers, &place.watched())
}

fn start(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    place: &Place,
    course: &Course,
) -> anyhow::Result<Server> {
    // A handshake is none, and asks for nothing.
    let scenario = Scenario::named(course.workload);
    scenario.map_or(Ok(()), |scenario| target.check_serves(scenario))?;
    session.start(
        binaries,
        target,
        scenario.unwrap_or(Scenario::PLAINTEXT),
        Allocator::Mimalloc,
        &place.wrapper(),
    )
}

impl Contender {
    /// Connects, and warms up.
    fn begin(
        target: Target,
        mut server: Server,
        course: &Course,
        patience: &Patience,
        warm_up: Duration,
    ) -> anyhow::Result<Self> {
        let begin = || {
            let mut load = (course.load.connect)(course, target, server.address(), patience)?;
            let done = load.warm_up(warm_up)?;
            let _ = load.objection(warm_up);
            Ok((load, done.count as f64 / warm_up.as_secs_f64()))
        };
        match begin() {
            Ok((load, rate)) => Ok(Self {
                target,
                server,
                load,
                rate,
                count: 0,
                elapsed: Duration::ZERO,
                effort: None,
                done: Done::of(0),
            }),
            Err(error) => Err(server.explain(error)),
        }
    }

    /// What it has done so far counts for nothing.
    fn forget(&mut self) {
        let _ = self.load.objection(self.elapsed);
        (self.count, self.elapsed, self.effort) = (0, Duration::ZERO, None);
    }

    fn run(&mut self, slice: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.done = self.load.run(slice)?;
        self.elapsed += begun.elapsed();
        self.count += self.done.count;
        if let Some(effort) = self.done.effort {
            let sum = self.effort.get_or_insert_default();
            sum.elapsed += effort.elapsed;
            sum.cpu += effort.cpu;
        }
        Ok(())
    }

    fn end(mut self, before: &Sample, after: &Sample, place: &Place) -> anyhow::Result<Window> {
        let nanoseconds = after.server_time_since(before, self.server.pid())? as f64;
        let (count, seconds) = (self.count as f64, self.elapsed.as_secs_f64());
        let objection = self.load.objection(self.elapsed);
        self.server.stop()?;
        Ok(Window {
            time: nanoseconds / 1000.0 / count,
            rate: self.done.rate.unwrap_or(count / seconds),
            busy: nanoseconds / 1e9 / seconds / place.cores() as f64,
            load_busy: self.effort.map_or(0.0, |effort| effort.busy()),
            is_paced: self.done.is_paced,
            latency: self.done.latency,
            noise: Noise {
                late: self.done.late,
                ..Noise::between(before, after)
            },
            objection: objection.or(self.done.objection),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, slices};

    #[test]
    fn a_slow_server_has_longer_slices_but_none_longer_than_the_window() {
        let window = Duration::from_millis(250);
        assert_eq!(slices(window, 0.001), 25);
        assert_eq!(slices(window, 0.06), 4);
        assert_eq!(slices(window, 3.0), 1);
        assert_eq!(slices(window, f64::INFINITY), 1);
        assert_eq!(slices(window, 0.0), 25);
    }
}
