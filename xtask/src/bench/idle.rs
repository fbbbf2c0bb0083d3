//! What a connection costs that's only there: how a server's private memory grows with their number.

use super::build::Binaries;
use super::repeats::{self, Runs};
use super::report::{Report, Row, Unit};
use super::scenario::Scenario;
use super::session::Session;
use super::statistics::{line, median};
use super::target::{Allocator, Target};
use super::text::{grouped, workers};
use anyhow::Context as _;
use anyport_bench_load::{Crowd, Interrupted, Workload};
use std::num::NonZeroUsize;
use std::time::Duration;

/// How many connections; each number has a process of its own, so that none inherits what another left behind.
pub(super) const STEPS: &[usize] = &[1_000, 2_000, 4_000, 8_000];
/// The same in less time, and with less noise: the line's ends are as far apart as they can be. Nothing tells then whether it's straight. anyport serves 10,000
/// connections at the most, unless it's told otherwise.
pub(super) const ENDS: &[usize] = &[0, 8_000];
/// The R2 of a line that bends too much to be called one.
const STRAIGHT: f64 = 0.98;
/// What an allocator may need to give back what it doesn't.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a connection that was used has been idle.
const REST: Duration = Duration::from_secs(2);

/// mimalloc takes huge pages, of 2 MiB each, where it can: that's as much as two thousand connections have, and would hide them in its steps.
const SMALL_PAGES: [&str; 2] = ["env", "MIMALLOC_ALLOW_THP=0"];

const STATES: [State; 2] = [
    ("fresh", |memory| memory.fresh),
    ("kept alive", |memory| memory.kept_alive),
];

/// What a state is called, and its bytes.
type State = (&'static str, fn(&Memory) -> u64);

/// Bytes in each of the states.
struct Memory {
    fresh: u64,
    kept_alive: u64,
}

/// Measures each target with each of the allocators, so often, or with the system's, if it's one that's asked for and can't be had.
pub(super) fn run(
    session: &mut Session,
    steps: &[usize],
    allocators: &[Allocator],
    repeats: NonZeroUsize,
) -> Report {
    let numbers: Vec<String> = steps.iter().map(|&step| grouped(step as f64, 0)).collect();
    let mut report = Report {
        about: format!(
            "Private memory per idle connection, as the slope over {} connections of {}: {}. Fresh ones have sent nothing, kept alive ones had \
            one request each and were idle for {} s.",
            numbers.join(", "),
            workers(session.workers),
            repeats::in_words(repeats),
            REST.as_secs()
        ),
        rows: Vec::new(),
        notes: vec!["The kernel's own memory for a socket isn't in it. mimalloc is kept from huge pages, whose steps of 2 MiB are too coarse for it.".to_owned()],
        interrupted: false,
    };
    if session.targets.contains(&Target::RustlsSession) {
        report.notes.push(format!(
            "{}'s connections made their handshakes, and had no request.",
            Target::RustlsSession
        ));
    }
    report.interrupted = fill(session, steps, allocators, repeats, &mut report.rows).is_err();
    // All that's alike stands together: the reader compares servers, not states.
    report.rows.sort_by_key(|row| (row.workload, row.allocator));
    report.notes.extend(report.rows.iter().filter_map(bent));
    report
}

/// What there's to know of a row whose memory doesn't grow in step with its connections.
fn bent(row: &Row) -> Option<String> {
    let r_squared = row.r_squared.filter(|&r_squared| r_squared < STRAIGHT)?;
    let points = row.points.iter().map(|&(connections, kibibytes)| {
        format!("{} KiB with {}", grouped(kibibytes, 0), grouped(connections, 0))
    });
    Some(format!(
        "{} {} {} is no straight line (R2 {r_squared:.2}), so its slope says little: {}.",
        row.target,
        row.workload,
        row.allocator.name(),
        points.collect::<Vec<_>>().join(", ")
    ))
}

fn fill(
    session: &mut Session,
    steps: &[usize],
    allocators: &[Allocator],
    repeats: NonZeroUsize,
    rows: &mut Vec<Row>,
) -> Result<(), Interrupted> {
    let binaries = session.build(&session.targets, allocators)?;
    let mut subjects = Vec::new();
    for &wanted in allocators {
        subjects.extend(session.targets.iter().map(|&target| {
            let is_had = allocators.len() > 1 || target.check_allocator(wanted).is_ok();
            (target, if is_had { wanted } else { Allocator::System })
        }));
    }
    session.expect(subjects.len() * repeats.get() * steps.len());
    let (measured, is_interrupted) = repeats::measure(&subjects, repeats, |(target, allocator)| {
        let steps = steps
            .iter()
            .map(|&connections| memory(session, &binaries, target, allocator, connections));
        steps.collect::<anyhow::Result<Vec<_>>>()
    });
    for ((target, allocator), runs) in &measured {
        rows.extend(STATES.map(|(workload, bytes)| Row {
            workload,
            connections: steps.last().copied().unwrap_or_default(),
            ..row(*target, *allocator, steps, runs, bytes)
        }));
    }
    if is_interrupted { Err(Interrupted) } else { Ok(()) }
}

/// The slope of one state's memory.
fn row(
    target: Target,
    allocator: Allocator,
    steps: &[usize],
    runs: &Runs<Vec<Memory>>,
    bytes: fn(&Memory) -> u64,
) -> Row {
    let row = Row::new("idle", target, allocator, Unit::Kibibytes);
    let runs: Vec<Vec<f64>> = match runs {
        Ok(runs) => runs
            .iter()
            .map(|run| run.iter().map(|memory| bytes(memory) as f64 / 1024.0).collect())
            .collect(),
        Err(reason) => return row.of_runs(Err(reason.clone())),
    };
    let points = |kibibytes: &[f64]| -> Vec<(f64, f64)> {
        steps
            .iter()
            .map(|&connections| connections as f64)
            .zip(kibibytes.iter().copied())
            .collect()
    };
    let slopes = runs.iter().filter_map(|run| Some(line(&points(run))?.slope));
    let of_step = |step: usize| runs.iter().filter_map(move |run| run.get(step).copied());
    let middle: Option<Vec<f64>> = (0..steps.len())
        .map(|step| median(&of_step(step).collect::<Vec<_>>()))
        .collect();
    let points = points(&middle.unwrap_or_default());
    Row {
        r_squared: line(&points).map(|line| line.r_squared),
        points,
        ..row.of_runs(Ok(slopes.collect()))
    }
}

/// One process, first in one state, then in the other.
fn memory(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    allocator: Allocator,
    connections: usize,
) -> anyhow::Result<Memory> {
    let name = allocator.name();
    session
        .progress
        .set_message(format!("{target}, {name}: {connections} idle connections"));
    target.check_allocator(allocator)?;
    let patience = &session.patience;
    let mut server = session.start(
        binaries,
        target,
        Scenario::PLAINTEXT,
        allocator,
        &SMALL_PAGES.map(Into::into),
    )?;
    let mut crowd = Crowd::connect(server.address(), Workload::Plaintext, connections, patience)
        .map_err(|error| server.explain(error))?;
    // A fresh connection says nothing, so only the server's descriptors tell that it has accepted it.
    patience
        .poll(|| Ok((server.accepted()? >= connections).then_some(())))?
        .with_context(|| format!("the server didn't accept {connections} connections"))?;
    // What has nothing to settle needs no time for it.
    let pause = |time| {
        if connections > 0 {
            patience.pause(time)
        } else {
            Ok(())
        }
    };
    pause(SETTLE)?;
    let fresh = server.private_memory()?;
    let used = if target.speaks_http() {
        crowd.ask_each()
    } else {
        crowd.shake_hands_each()
    };
    used.map_err(|error| server.explain(error))?;
    pause(REST)?;
    let kept_alive = server.private_memory()?;
    let left = server.accepted()?;
    anyhow::ensure!(
        left >= connections,
        "the server closed {} of {connections} connections meanwhile",
        connections - left
    );
    drop(crowd);
    server.stop()?;
    session.progress.inc(1);
    Ok(Memory { fresh, kept_alive })
}

#[cfg(test)]
mod tests {
    use super::{Allocator, Memory, Row, Runs, STEPS, Target, bent, row};

    fn run(kibibytes: impl IntoIterator<Item = u64>) -> Vec<Memory> {
        let memory = |kibibytes| Memory {
            fresh: kibibytes * 1024,
            kept_alive: 0,
        };
        kibibytes.into_iter().map(memory).collect()
    }

    fn fresh(runs: &Runs<Vec<Memory>>) -> Row {
        row(Target::Tcp, Allocator::System, STEPS, runs, |memory| memory.fresh)
    }

    #[test]
    fn the_value_is_the_median_of_the_runs_slopes() {
        let runs =
            [3, 1, 2].map(|each| run(STEPS.iter().map(|&connections| 5_000 + each * connections as u64)));
        let row = fresh(&Ok(runs.into()));
        let (value, span) = (row.value.unwrap(), row.span.unwrap());
        for (found, expected) in [(value, 2.0), (span.lowest, 1.0), (span.highest, 3.0)] {
            assert!((found - expected).abs() < 1e-9, "{row:?}");
        }
        assert_eq!(row.points[0], (1_000.0, 7_000.0));
        assert_eq!(bent(&row), None);
    }

    #[test]
    fn what_is_no_line_says_so() {
        let row = fresh(&Ok(vec![run([9_000, 2_000, 8_000, 7_500])]));
        let note = bent(&row).unwrap();
        assert!(
            note.starts_with("tcp plaintext system is no straight line"),
            "{note}"
        );
        assert!(note.ends_with("7,500 KiB with 8,000."), "{note}");
    }

    #[test]
    fn a_failure_is_the_reason() {
        let row = fresh(&Err("it died".to_owned()));
        assert_eq!((row.value, row.reason.as_deref()), (None, Some("it died")));
    }
}
