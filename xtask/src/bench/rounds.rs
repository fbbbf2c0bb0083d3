//! The order of a run: first what is counted, then rounds over everything else until the time is
//! over. So all rows have about the same number of rounds.

use super::context::Context;
use super::options::Job;
use super::pinning::Pinning;
use super::results::Results;
use super::target::Target;
use super::timed::Round;
use super::workload::Scenario;
use super::{counted, idle, present, reduce};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// No window is shorter or longer.
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_millis(400);
/// The longest window of the first round, whose time decides how long other windows are.
const FIRST: Duration = Duration::from_millis(100);
/// What a window takes beside its duration, until the first round is over.
const OVERHEAD: Duration = Duration::from_millis(150);

/// What is measured at once.
#[derive(Clone, Debug)]
enum Batch<'a> {
    /// Targets with the same last reference, and workloads of the same servers.
    Timed(Vec<&'a Target>, Vec<&'static Scenario>),
    Idle(&'static Scenario),
}

/// Measures until the time is over, and calls `save` after each round.
pub(super) fn all(
    context: &Context,
    job: &Job,
    results: &mut Results,
    save: &mut dyn FnMut(&Results) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let end = start + job.time;
    context.progress.ends_in(job.time);
    // The other half is for the rounds.
    let half = Some(start + job.time / 2);
    for scenario in job.scenarios.iter().filter(|of| of.is_counted()) {
        let mut targets: Vec<&Target> = job.targets.iter().collect();
        targets.retain(|of| of.supports(scenario).is_ok());
        counted::measure(context, &targets, scenario, half, results)?;
    }
    save(results)?;
    let pinning = Pinning::separate(context.workers)?;
    if !pinning.is_separate() {
        context.progress.print(
            "One core for load and server: they share its caches, and ratios are too close to 1.",
        );
    }
    let mut batches = batches(job);
    let cells: usize = batches.iter().map(Batch::windows).sum();
    let left = || end.saturating_duration_since(Instant::now());
    let mut window = window(left(), job.rounds, cells, OVERHEAD * cells as u32).min(FIRST);
    // The time of each batch in its last round.
    let mut took = vec![Duration::ZERO; batches.len()];
    let mut order: Vec<usize> = (0..batches.len()).collect();
    let mut rng = Rng::new();
    for number in 0.. {
        let (round_start, known) = (Instant::now(), results.len());
        rng.shuffle(&mut order);
        for &index in &order {
            let batch_start = Instant::now();
            if batch_start >= end || number > 0 && batch_start + took[index] > end {
                return save(results);
            }
            match &mut batches[index] {
                Batch::Timed(targets, scenarios) => {
                    rng.shuffle(targets);
                    let round = Round {
                        context,
                        pinning: &pinning,
                        number,
                        window,
                        end,
                    };
                    round.measure(results, targets, scenarios)?;
                    let rows = scenarios.iter().flat_map(|scenario| {
                        let targets = targets.iter();
                        targets.map(|target| reduce::row(results, target, scenario))
                    });
                    for row in rows.filter(|row| number == 0 && !row.figures.is_empty()) {
                        let line = present::line(&row);
                        context.progress.print(&format!("first round: {line}"));
                    }
                }
                Batch::Idle(scenario) => {
                    let is_wanted = |target: &&Target| results.wants(target, scenario);
                    let targets: Vec<&Target> = job.targets.iter().filter(is_wanted).collect();
                    let connections = scenario.connections;
                    idle::measure(context, &targets, scenario, connections, results)?;
                }
            }
            took[index] = batch_start.elapsed();
        }
        save(results)?;
        // If everything is given up, other rounds have no more results.
        if number > 0 && results.len() == known {
            return Ok(());
        }
        if number == 0 {
            let overhead = round_start.elapsed().saturating_sub(window * cells as u32);
            window = self::window(left(), job.rounds.saturating_sub(1), cells, overhead);
        }
    }
    Ok(())
}

/// How long a window is, if so many rounds fit.
fn window(left: Duration, rounds: usize, cells: usize, overhead: Duration) -> Duration {
    let round = left / rounds.max(1) as u32;
    (round.saturating_sub(overhead) / cells.max(1) as u32).clamp(SHORTEST, LONGEST)
}

impl Batch<'_> {
    fn windows(&self) -> usize {
        match self {
            Self::Timed(targets, scenarios) => targets.len() * scenarios.len(),
            Self::Idle(_) => 0,
        }
    }
}

fn batches(job: &Job) -> Vec<Batch<'_>> {
    let mut groups: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
    for target in &job.targets {
        let group = groups.entry(target.root(&job.targets));
        group.or_default().push(target);
    }
    let mut batches = Vec::new();
    for targets in groups.into_values() {
        for http2 in [false, true] {
            let is_meant = |scenario: &&Scenario| {
                let is_supported = targets.iter().any(|of| of.supports(scenario).is_ok());
                scenario.is_timed() && scenario.is_http2() == http2 && is_supported
            };
            let scenarios: Vec<_> = job.scenarios.iter().copied().filter(is_meant).collect();
            if !scenarios.is_empty() {
                batches.push(Batch::Timed(targets.clone(), scenarios));
            }
        }
    }
    let idle = job.scenarios.iter().filter(|of| of.is_idle());
    batches.extend(idle.map(|scenario| Batch::Idle(scenario)));
    batches
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, SHORTEST, window};
    use std::time::Duration;

    #[test]
    fn windows_share_the_time_without_overhead() {
        let seconds = Duration::from_secs;
        let window = |left| window(seconds(left), 10, 40, seconds(2));
        assert_eq!(window(100), Duration::from_millis(200));
        assert_eq!((window(1000), window(10)), (LONGEST, SHORTEST));
    }
}
