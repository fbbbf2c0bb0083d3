//! A run: builds, then counts what is counted, then goes in rounds over everything that takes time,
//! until the time is over. So whenever it ends, all rows are of about as many rounds.

use super::affinity::Place;
use super::build::{self, Binaries};
use super::context::Context;
use super::environment;
use super::options::{Job, Options};
use super::present::{self, minutes};
use super::row::{Row, Run, Unit};
use super::target::Target;
use super::timed::{Stage, Windows};
use super::tool::{look_for, look_for_io_uring};
use super::workload::{Kind, Scenario};
use super::{counted, idle, reduce};
use crate::output;
use anyhow::Context as _;
use anyport_bench_load::Interrupted;
use cargo_metadata::Metadata;
use fastrand::Rng;
use procfs::{CurrentSI as _, KernelStats};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use time::OffsetDateTime;

/// No window is shorter or longer.
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_millis(400);
/// The first round is to be over soon: what it takes tells how long the others may be.
const FIRST: Duration = Duration::from_millis(100);
/// What a window takes beside its own duration, before the first round has told.
const OVERHEAD: Duration = Duration::from_millis(150);
/// A machine that does more beside the bench is busy.
const QUIET: f64 = 0.1;

/// What is measured at once.
#[derive(Clone, Debug)]
enum Batch<'a> {
    /// Targets with one reference at the end of theirs, and workloads that the same servers can
    /// serve.
    Timed(Vec<&'a Target>, Vec<&'static Scenario>),
    Idle(&'static Scenario),
}

/// What is known so far.
#[derive(Default)]
struct Known {
    windows: Windows,
    /// Memory of idle connections of each target, in each round.
    memory: BTreeMap<String, Vec<idle::Memory>>,
    /// Why targets have none.
    troubles: BTreeMap<String, String>,
    counted: Vec<Row>,
}

/// Measures, prints, and keeps all of it in a folder; the code to exit with.
///
/// # Errors
///
/// When nothing could be tried, or the results cannot be kept.
pub(super) fn run(options: &Options, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let mut job = options.job();
    let context = Context::new(metadata, options.workers)?;
    look_for("taskset", "util-linux")?;
    let environment = environment::look(context.root.as_std_path());
    let folder = folder(&context, options, &environment)?;
    let name = folder
        .file_name()
        .unwrap_or(folder.as_os_str())
        .to_string_lossy()
        .into_owned();
    let mut run = Run::new(name.clone(), command(), environment);
    run.write(&folder)?;
    let raw = context
        .target_dir
        .join("bench")
        .join(&name)
        .into_std_path_buf();
    run.notes.push(busy(&context)?);
    output::note(&run.notes[0]);
    output::note(format!(
        "{} targets, {} workloads; at most {} of measuring after the builds. The results so far are always in {}.",
        job.targets.len(),
        job.scenarios.len(),
        minutes(job.time),
        folder.display()
    ));
    let refused = leave_out_refused(&mut job);
    let mut known = Known::default();
    let measured = build::build(&context, &job.targets).and_then(|binaries| {
        all(&context, &job, &binaries, &mut known, &mut |known| {
            collect(&mut run, &job, known, &refused);
            run.write(&folder).and_then(|()| log(&raw, &known.windows))
        })
    });
    context.progress.finish();
    run.interrupted = match measured {
        Ok(Ok(())) => false,
        Ok(Err(error)) => return Err(error),
        Err(Interrupted) => true,
    };
    collect(&mut run, &job, &known, &refused);
    if let Some(rate) = known.windows.rate() {
        run.notes
            .push(format!("Latencies are at {rate:.0} requests per second."));
    }
    run.notes.extend(
        job.targets
            .iter()
            .filter_map(|target| target.remark)
            .map(str::to_owned),
    );
    run.write(&folder)?;
    log(&raw, &known.windows)?;
    present::write(&run, &folder)?;
    output::print(present::tables(&run))?;
    output::note(format!(
        "results, tables and the page: {}",
        folder.display()
    ));
    let is_complete = run
        .rows
        .iter()
        .all(|row| row.reason.is_none() || is_expected(row, &job, &refused));
    Ok(match (run.interrupted, is_complete) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// Targets that this kernel refuses, and why.
fn leave_out_refused(job: &mut Job) -> Option<(Vec<Target>, String)> {
    let why = look_for_io_uring().err()?;
    let (refused, rest) = job
        .targets
        .drain(..)
        .partition(|target| target.needs_io_uring);
    job.targets = rest;
    Some((refused, format!("{why:#}")))
}

/// Whether it is known of the target that there are no figures: nothing went wrong then.
fn is_expected(row: &Row, job: &Job, refused: &Option<(Vec<Target>, String)>) -> bool {
    let target = job.targets.iter().find(|target| target.name == row.target);
    let scenario = job
        .scenarios
        .iter()
        .find(|scenario| scenario.name == row.workload);
    match (target, scenario) {
        (Some(target), Some(scenario)) => target.serves(scenario).is_err(),
        _ => refused.is_some(),
    }
}

/// Everything, until the time is over. `keep` is called after each round.
fn all(
    context: &Context,
    job: &Job,
    binaries: &Binaries,
    known: &mut Known,
    keep: &mut dyn FnMut(&Known) -> anyhow::Result<()>,
) -> Result<anyhow::Result<()>, Interrupted> {
    let begun = Instant::now();
    context.progress.ends_in(job.time);
    count(context, job, binaries, known)?;
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
        let round_begun = Instant::now();
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
                    };
                    known.windows.measure(&stage, targets, scenarios)?;
                    if round == 0 {
                        first_look(context, &known.windows, targets, scenarios);
                    }
                }
                Batch::Idle(scenario) => {
                    let targets: Vec<&Target> = job
                        .targets
                        .iter()
                        .filter(|target| !known.troubles.contains_key(&target.name))
                        .collect();
                    for (name, memory) in
                        idle::measure(context, binaries, &targets, scenario.connections)?
                    {
                        match memory {
                            Ok(memory) => known.memory.entry(name).or_default().push(memory),
                            Err(error) => drop(known.troubles.insert(name, format!("{error:#}"))),
                        }
                    }
                }
            }
            took[index] = batch_begun.elapsed();
        }
        if let Err(error) = keep(known) {
            return Ok(Err(error));
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
            Self::Idle(_) => 0,
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
    let idle = job
        .scenarios
        .iter()
        .find(|scenario| scenario.kind == Kind::Idle);
    batches.extend(idle.map(|scenario| Batch::Idle(scenario)));
    batches
}

/// What is counted, which is said as soon as it is known.
fn count(
    context: &Context,
    job: &Job,
    binaries: &Binaries,
    known: &mut Known,
) -> Result<(), Interrupted> {
    let is_counted = |scenario: &&&Scenario| !scenario.is_timed() && scenario.kind != Kind::Idle;
    for scenario in job.scenarios.iter().filter(is_counted) {
        for target in &job.targets {
            let mut row = reduce::empty(target, scenario);
            let measured = match target.serves(scenario) {
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

/// All rows, in the order of workloads and targets.
fn collect(run: &mut Run, job: &Job, known: &Known, refused: &Option<(Vec<Target>, String)>) {
    run.rows.clear();
    for &scenario in &job.scenarios {
        for target in &job.targets {
            let row = if scenario.is_timed() {
                reduce::row(&known.windows, target, scenario)
            } else if scenario.kind == Kind::Idle {
                memory(known, target, scenario)
            } else {
                let is_it = |row: &&Row| row.target == target.name && row.workload == scenario.name;
                let counted = known.counted.iter().find(is_it).cloned();
                counted.unwrap_or_else(|| Row {
                    reason: Some("the run ended before".to_owned()),
                    ..reduce::empty(target, scenario)
                })
            };
            run.rows.push(row);
        }
        if let Some((targets, why)) = refused {
            run.rows.extend(targets.iter().map(|target| Row {
                reason: Some(why.clone()),
                ..reduce::empty(target, scenario)
            }));
        }
    }
}

fn memory(known: &Known, target: &Target, scenario: &Scenario) -> Row {
    let mut row = reduce::empty(target, scenario);
    let runs = known
        .memory
        .get(&target.name)
        .map_or(&[][..], Vec::as_slice);
    let (fresh, kept): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
    for (unit, values) in [(Unit::Fresh, fresh), (Unit::Kept, kept)] {
        if let Some(figure) = reduce::figure(&values) {
            row.figures.insert(unit, figure);
        }
    }
    row.rounds = runs.len();
    if runs.is_empty() {
        let reason = known.troubles.get(&target.name).cloned();
        row.reason =
            Some(reason.unwrap_or_else(|| "the run ended before its first round".to_owned()));
    }
    row
}

/// How busy the machine is, and what that does to the figures.
fn busy(context: &Context) -> anyhow::Result<String> {
    const LOOK: Duration = Duration::from_millis(500);
    let look = || -> anyhow::Result<(u64, u64)> {
        let time = KernelStats::current()
            .context("cannot read /proc/stat")?
            .total;
        let idle = time.idle + time.iowait.unwrap_or_default();
        Ok((
            time.user + time.nice + time.system + time.steal.unwrap_or_default(),
            idle,
        ))
    };
    let before = look()?;
    context.patience.pause(LOOK)?;
    let after = look()?;
    let (ran, idle) = ((after.0 - before.0) as f64, (after.1 - before.1) as f64);
    let share = ran / (ran + idle).max(1.0);
    let percent = 100.0 * share;
    Ok(match share {
        share if share < QUIET => {
            format!("Other programs take {percent:.0} % of this machine: it is quiet.")
        }
        _ => format!(
            "Other programs take {percent:.0} % of this machine: intervals are wider, rounds that were disturbed are kept \
            and marked, rates are too low; counts and ratios hold."
        ),
    })
}

fn folder(
    context: &Context,
    options: &Options,
    environment: &environment::Environment,
) -> anyhow::Result<PathBuf> {
    let path = options.output.clone().unwrap_or_else(|| {
        let time = environment::timestamp(OffsetDateTime::now_utc()).replace(':', "-");
        let commit = environment
            .get("commit")
            .and_then(|commit| commit.split(' ').next());
        let name = commit.map_or_else(|| time.clone(), |commit| format!("{time}-{commit}"));
        context
            .target_dir
            .join("bench")
            .join(name)
            .into_std_path_buf()
    });
    anyhow::ensure!(
        !path.join(super::row::RESULTS).exists(),
        "{} holds a run already; name another folder, or remove it",
        path.display()
    );
    Ok(path)
}

/// Each window on a line, disturbed or not; it stays out of the repository.
fn log(folder: &Path, windows: &Windows) -> anyhow::Result<()> {
    let path = folder.join("windows.jsonl");
    let write = || -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = std::io::BufWriter::new(File::create(&path)?);
        for window in &windows.kept {
            serde_json::to_writer(&mut file, window)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// What a reader has to type to see the same.
fn command() -> String {
    let words = ["cargo".to_owned(), "xtask".to_owned()].into_iter();
    words
        .chain(std::env::args().skip(1))
        .collect::<Vec<_>>()
        .join(" ")
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
