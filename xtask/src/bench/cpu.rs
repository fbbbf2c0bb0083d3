//! CPU time per request, where only a ratio can be trusted: in turns, in a shuffled order, each beside the reference in the same round.

use super::build::Binaries;
use super::noise::{MOST_FOREIGN, Noise, Sample};
use super::options::Options;
use super::report::{Report, Row, Unit};
use super::session::Session;
use super::statistics::{interval_of_median, median};
use super::target::{Allocator, Target};
use super::tool::look_for;
use anyhow::Context as _;
use anyport_bench_load::{Address, Amount, ClosedLoop, Interrupted};
use core_affinity::CoreId;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::time::Duration;

const WARM_UP: Duration = Duration::from_millis(300);
const WINDOW: Duration = Duration::from_secs(1);
/// Fewer don't tell anything.
const FEWEST_ROUNDS: usize = 5;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CpuOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// Keep-alive connections that ask at once.
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
    /// In each, every target and its reference have a window of a second.
    #[arg(long, value_name = "N", default_value = "15")]
    rounds: NonZeroUsize,
    /// Repeats the order of an earlier run [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The share of all CPU time that other processes may have before a round is thrown away.
    #[arg(long, value_name = "PERCENT", default_value_t = MOST_FOREIGN, value_parser = clap::value_parser!(u8).range(..=100))]
    foreign: u8,
}

/// Measures all targets, and the references they need.
pub(super) fn run(session: &mut Session, options: &CpuOptions) -> Report {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut report = Report {
        about: format!(
            "CPU time per request with {} connections: medians of {} rounds of {} s each and their 95 % intervals (bootstrap), each ratio \
            from the same round; one worker, allocator {}, order shuffled with seed {seed}.",
            options.connections,
            options.rounds,
            WINDOW.as_secs(),
            Allocator::Mimalloc.name(),
        ),
        rows: Vec::new(),
        notes: Vec::new(),
        interrupted: false,
    };
    for target in session.targets.clone() {
        let reference = target.reference();
        if !session.targets.contains(&reference) {
            session.targets.push(reference);
        }
    }
    let mut rounds = Rounds {
        rng: Rng::with_seed(seed),
        times: BTreeMap::new(),
        failures: BTreeMap::new(),
        kept: 0,
        thrown_away: BTreeMap::new(),
    };
    report.interrupted = rounds.run(session, options, &mut report.notes).is_err();
    let least = if report.interrupted {
        1
    } else {
        FEWEST_ROUNDS.min(options.rounds.get())
    };
    for &target in &session.targets {
        rounds.rows(target, options.connections.get(), least, &mut report.rows);
    }
    rounds.tell(options.rounds.get(), &mut report.notes);
    report
}

struct Rounds {
    rng: Rng,
    /// Microseconds per request, of each kept round.
    times: BTreeMap<Target, Vec<f64>>,
    failures: BTreeMap<Target, String>,
    kept: usize,
    /// Why, how often, and how much of it there was at the most.
    thrown_away: BTreeMap<&'static str, (usize, f64)>,
}

impl Rounds {
    fn run(
        &mut self,
        session: &mut Session,
        options: &CpuOptions,
        notes: &mut Vec<String>,
    ) -> Result<(), Interrupted> {
        if let Err(error) = look_for("taskset", "util-linux") {
            let reason = format!("{error:#}");
            self.failures
                .extend(session.targets.iter().map(|&target| (target, reason.clone())));
            return Ok(());
        }
        let binaries = session.build(&[Allocator::Mimalloc])?;
        let cores = pin(notes);
        session.expect(options.rounds.get());
        let mut left = 2 * options.rounds.get();
        while self.kept < options.rounds.get() && left > 0 {
            left -= 1;
            session.patience.check()?;
            let (kept, thrown_away) = (
                self.kept,
                self.thrown_away.values().map(|(times, _)| times).sum::<usize>(),
            );
            session
                .progress
                .set_message(format!("{kept} rounds kept, {thrown_away} thrown away"));
            self.round(session, &binaries, cores, options)?;
            session.progress.set_position(self.kept as u64);
        }
        Ok(())
    }

    /// Every target once, in an order of its own; kept only if nothing disturbed any of them.
    fn round(
        &mut self,
        session: &Session,
        binaries: &Binaries,
        cores: Option<[CoreId; 2]>,
        options: &CpuOptions,
    ) -> Result<(), Interrupted> {
        let mut order: Vec<Target> = session.targets.clone();
        order.retain(|target| !self.failures.contains_key(target));
        self.rng.shuffle(&mut order);
        let mut times = Vec::new();
        for target in order {
            match window(session, binaries, target, cores, options.connections.get()) {
                Ok((time, noise)) => {
                    if let Some((what, share)) = noise.disturbance(options.foreign) {
                        let (times, most) = self.thrown_away.entry(what).or_default();
                        *times += 1;
                        *most = most.max(share);
                        return Ok(());
                    }
                    times.push((target, time));
                }
                Err(error) if error.is::<Interrupted>() => return Err(Interrupted),
                // It won't get better; the others go on without it.
                Err(error) => {
                    self.failures.insert(target, format!("{error:#}"));
                }
            }
        }
        for (target, time) in times {
            self.times.entry(target).or_default().push(time);
        }
        self.kept += 1;
        Ok(())
    }

    /// The target's time, and its ratio to the reference's.
    fn rows(&mut self, target: Target, connections: usize, least: usize, rows: &mut Vec<Row>) {
        let none = Vec::new();
        let times = self.times.get(&target).unwrap_or(&none).clone();
        let reference = self.times.get(&target.reference()).unwrap_or(&none);
        let ratios: Vec<f64> = times
            .iter()
            .zip(reference)
            .map(|(time, reference)| time / reference)
            .collect();
        let reason = match self.failures.get(&target) {
            Some(failure) => Some(failure.clone()),
            None if times.len() < least => Some(format!(
                "only {} rounds could be kept, and {least} are needed; the machine is too busy",
                times.len()
            )),
            None => None,
        };
        let no_reference = self.failures.contains_key(&target.reference());
        for (unit, values) in [(Unit::Microseconds, times), (Unit::Ratio, ratios)] {
            let mut row = Row {
                connections,
                reason: reason.clone(),
                ..Row::new("cpu", target, Allocator::Mimalloc, unit)
            };
            if row.reason.is_none() && unit == Unit::Ratio && no_reference {
                row.reason = Some(format!("its reference, {}, wasn't measured", target.reference()));
            }
            if row.reason.is_none() {
                row.value = median(&values);
                row.interval = interval_of_median(&values, &mut self.rng);
            }
            rows.push(row);
        }
    }

    fn tell(&self, wanted: usize, notes: &mut Vec<String>) {
        let reasons: Vec<String> = self
            .thrown_away
            .iter()
            .map(|(reason, (times, most))| format!("{times} for {reason} (up to {:.0} %)", 100.0 * most))
            .collect();
        if !reasons.is_empty() {
            notes.push(format!(
                "{} rounds of {wanted} kept; thrown away: {}.",
                self.kept,
                reasons.join(", ")
            ));
        }
    }
}

/// Gives the load, which is this thread, a core of its own; and the server another one.
fn pin(notes: &mut Vec<String>) -> Option<[CoreId; 2]> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pinned = match cores[..] {
        [server, load, ..] if core_affinity::set_for_current(load) => Some([server, load]),
        _ => None,
    };
    if pinned.is_none() {
        notes.push(
            "Nothing is pinned, since this needs two cores: load and server take turns on one, and push each other out of its caches. \
            The ratios are too close to 1."
                .to_owned(),
        );
    }
    pinned
}

/// Microseconds per request of a fresh process.
fn window(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    cores: Option<[CoreId; 2]>,
    connections: usize,
) -> anyhow::Result<(f64, Noise)> {
    let wrapper = cores.map_or_else(Vec::new, |[server, _]| {
        ["taskset", "-c", &server.id.to_string()]
            .map(OsString::from)
            .to_vec()
    });
    let mut server = session.start(binaries, target, Allocator::Mimalloc, &wrapper)?;
    let measured = measure(session, server.pid(), server.address(), connections);
    let measured = measured.map_err(|error| server.explain(error))?;
    server.stop()?;
    Ok(measured)
}

fn measure(
    session: &Session,
    pid: u32,
    address: &Address,
    connections: usize,
) -> anyhow::Result<(f64, Noise)> {
    let mut load = ClosedLoop::connect(address, connections, &session.patience)?;
    load.run(Amount::For(WARM_UP))?;
    let before = Sample::take(pid)?;
    let requests = load.run(Amount::For(WINDOW))?;
    let after = Sample::take(pid)?;
    let nanoseconds = after
        .server
        .checked_sub(before.server)
        .context("the server's CPU time ran backwards")?;
    Ok((
        nanoseconds as f64 / 1000.0 / requests as f64,
        Noise::between(&before, &after),
    ))
}
