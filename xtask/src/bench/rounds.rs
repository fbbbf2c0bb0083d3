//! What a run does: counts what is counted, then goes in rounds over everything that takes time,
//! until the time is over. So whenever it ends, all rows are of about as many rounds.

use super::affinity::Place;
use super::build::Binaries;
use super::context::Context;
use super::options::Job;
use super::row::{Row, Unit};
use super::target::Target;
use super::timed::{FAILURES, Stage, Windows};
use super::workload::{Kind, Scenario};
use super::{counted, idle, reduce};
use anyport_bench_load::{Interrupted, Workload};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// No window is shorter or longer.
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_millis(400);
/// The first round is to be over soon: what it takes tells how long the others may be.
const FIRST: Duration = Duration::from_millis(100);
/// What a window takes beside its own duration, before the first round has told.
const OVERHEAD: Duration = Duration::from_millis(150);
/// What is measured at once.
#[derive(Clone, Debug)]
enum Batch<'a> {
    /// Targets with one reference at the end of theirs, and workloads that the same servers can
    /// serve.
    Timed(Vec<&'a Target>, Vec<&'static Scenario>),
    Idle(&'static Scenario, Workload),
}

/// What is known so far.
#[derive(Default)]
pub(super) struct Known {
    pub(super) windows: Windows,
    /// Memory of idle connections of each target, in each round.
    pub(super) memory: BTreeMap<(String, &'static str), Vec<idle::Memory>>,
    /// How often targets had none, and the latest reason.
    pub(super) troubles: BTreeMap<(String, &'static str), (usize, String)>,
    pub(super) counted: Vec<Row>,
}

impl Known {
    /// How many there are of what rounds bring.
    fn figures(&self) -> usize {
        self.windows.kept.len() + self.memory.values().map(Vec::len).sum::<usize>()
    }
}

/// Everything, until the time is over. `keep` is called after each round.
pub(super) fn all(
    context: &Context,
    job: &Job,
    binaries: &Binaries,
    known: &mut Known,
    keep: &mut dyn FnMut(&Known) -> anyhow::Result<()>,
) -> Result<anyhow::Result<()>, Interrupted> {
    let begun = Instant::now();
    context.progress.ends_in(job.time);
    // Counting comes first, and is to leave the rounds their time.
    count(context, job, binaries, known, begun + job.time / 2)?;
    if let Err(error) = keep(known) {
        return Ok(Err(error));
    }
    let place = match Place::apart(context.workers) {
        Ok(place) => place,
        Err(error) => return Ok(Err(error)),
    };
    if !place.is_apart() {
        context.progress.say(
            "One core for load and server: they push each other out of its caches, and ratios are too close to 1.",
        );
    }
    let mut batches = batches(job);
    if batches.is_empty() {
        return Ok(Ok(()));
    }
    let cells: usize = batches.iter().map(Batch::windows).sum();
    let end = begun + job.time;
    let mut rng = Rng::new();
    let first = window(
        end - Instant::now().min(end),
        job.rounds,
        cells,
        OVERHEAD * cells as u32,
    );
    let mut window = first.min(FIRST);
    // How long each took in its latest round, by the order in which they were made.
    let mut took = vec![Duration::ZERO; batches.len()];
    let mut order: Vec<usize> = (0..batches.len()).collect();
    for round in 0.. {
        let (round_begun, figures) = (Instant::now(), known.figures());
        rng.shuffle(&mut order);
        for &index in &order {
            let batch_begun = Instant::now();
            if round > 0 && batch_begun + took[index] > end || batch_begun >= end {
                return Ok(keep(known));
            }
            match &mut batches[index] {
                Batch::Timed(targets, scenarios) => {
                    rng.shuffle(targets);
                    let stage = Stage {
                        context,
                        binaries,
                        place: &place,
                        round,
                        window,
                        end,
                    };
                    known.windows.measure(&stage, targets, scenarios)?;
                    if round == 0 {
                        first_look(context, &known.windows, targets, scenarios);
                    }
                }
                &mut Batch::Idle(scenario, workload) => {
                    let is_wanted = |target: &&Target| {
                        let key = (target.name.clone(), scenario.name);
                        let troubles = known.troubles.get(&key).map_or(0, |(times, _)| *times);
                        target.serves(scenario).is_ok() && troubles < FAILURES
                    };
                    let targets: Vec<&Target> = job.targets.iter().filter(is_wanted).collect();
                    let connections = scenario.connections;
                    let measured =
                        idle::measure(context, binaries, &targets, workload, connections)?;
                    for (name, memory) in measured {
                        let key = (name, scenario.name);
                        match memory {
                            Ok(memory) => known.memory.entry(key).or_default().push(memory),
                            Err(error) => {
                                let trouble = known.troubles.entry(key).or_default();
                                *trouble = (trouble.0 + 1, format!("{error:#}"));
                            }
                        }
                    }
                }
            }
            took[index] = batch_begun.elapsed();
        }
        if let Err(error) = keep(known) {
            return Ok(Err(error));
        }
        // More rounds bring no more, if everything is given up.
        if round > 0 && known.figures() == figures {
            return Ok(Ok(()));
        }
        if round == 0 {
            let overhead = round_begun.elapsed().saturating_sub(window * cells as u32);
            let left = end.saturating_duration_since(Instant::now());
            window = self::window(left, job.rounds.saturating_sub(1), cells, overhead);
        }
    }
    Ok(Ok(()))
}

/// How long a window may be, so that there are so many rounds.
fn window(left: Duration, rounds: usize, cells: usize, overhead: Duration) -> Duration {
    let round = left / rounds.max(1) as u32;
    (round.saturating_sub(overhead) / cells.max(1) as u32).clamp(SHORTEST, LONGEST)
}

impl Batch<'_> {
    fn windows(&self) -> usize {
        match self {
            Self::Timed(targets, scenarios) => targets.len() * scenarios.len(),
            Self::Idle(..) => 0,
        }
    }
}

fn batches(job: &Job) -> Vec<Batch<'_>> {
    let mut groups: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
    for target in &job.targets {
        groups
            .entry(target.root(&job.targets))
            .or_default()
            .push(target);
    }
    let mut batches = Vec::new();
    for targets in groups.into_values() {
        for http2 in [false, true] {
            let is_meant = |scenario: &&Scenario| {
                let is_served = targets.iter().any(|target| target.serves(scenario).is_ok());
                scenario.is_timed() && scenario.is_http2() == http2 && is_served
            };
            let scenarios: Vec<_> = job.scenarios.iter().copied().filter(is_meant).collect();
            if !scenarios.is_empty() {
                batches.push(Batch::Timed(targets.clone(), scenarios));
            }
        }
    }
    batches.extend(
        job.scenarios
            .iter()
            .filter_map(|scenario| match scenario.kind {
                Kind::Idle(workload) => Some(Batch::Idle(scenario, workload)),
                _ => None,
            }),
    );
    batches
}

/// What is counted, which is said as soon as it is known.
fn count(
    context: &Context,
    job: &Job,
    binaries: &Binaries,
    known: &mut Known,
    end: Instant,
) -> Result<(), Interrupted> {
    let is_counted = |scenario: &&&Scenario| !scenario.is_timed() && !scenario.is_idle();
    for scenario in job.scenarios.iter().filter(is_counted) {
        for target in &job.targets {
            let mut row = reduce::empty(target, scenario);
            let measured = match target.serves(scenario) {
                Ok(()) if Instant::now() >= end => Err(anyhow::anyhow!("no time was left for it")),
                Ok(()) => counted::measure(context, binaries, target, scenario),
                Err(reason) => Err(anyhow::anyhow!(reason)),
            };
            context.patience.check()?;
            match measured {
                Ok(figures) => {
                    row.rounds = 1;
                    row.figures = figures;
                    let said: Vec<String> = row
                        .figures
                        .iter()
                        .map(|(unit, figure)| {
                            format!("{} {}", unit.format(figure.value), unit.label())
                        })
                        .collect();
                    context.progress.say(&format!(
                        "{}: {target}: {}",
                        scenario.name,
                        said.join(", ")
                    ));
                }
                Err(error) => row.reason = Some(format!("{error:#}")),
            }
            known.counted.push(row);
        }
    }
    Ok(())
}

/// The first round, as soon as it is there: what a row will be, roughly.
fn first_look(
    context: &Context,
    windows: &Windows,
    targets: &[&Target],
    scenarios: &[&'static Scenario],
) {
    for scenario in scenarios {
        let said: Vec<String> = targets
            .iter()
            .filter_map(|target| {
                let row = reduce::row(windows, target, scenario);
                let cpu = row.figures.get(&Unit::Cpu)?.value;
                let ratio = row
                    .figures
                    .get(&Unit::Ratio)
                    .map_or(String::new(), |ratio| {
                        format!(
                            " ({} × {})",
                            Unit::Ratio.format(ratio.value),
                            target.reference
                        )
                    });
                Some(format!("{target} {} µs{ratio}", Unit::Cpu.format(cpu)))
            })
            .collect();
        if !said.is_empty() {
            context.progress.say(&format!(
                "first round of {}: {}",
                scenario.name,
                said.join(", ")
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SHORTEST, window};
    use std::time::Duration;

    #[test]
    fn windows_share_what_the_overhead_leaves() {
        let seconds = Duration::from_secs;
        assert_eq!(
            window(seconds(100), 10, 40, seconds(2)),
            Duration::from_millis(200)
        );
        assert_eq!(window(seconds(1000), 10, 40, seconds(2)), LONGEST);
        assert_eq!(window(seconds(10), 10, 40, seconds(2)), SHORTEST);
    }
}
