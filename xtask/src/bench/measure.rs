//! A run: what it is told, what it keeps, and what it says.

use super::build;
use super::context::Context;
use super::environment;
use super::options::{Job, Options, Refused};
use super::present::{self, minutes};
use super::reduce;
use super::rounds::{self, Known};
use super::row::{Row, Run, Unit};
use super::target::Target;
use super::timed::Windows;
use super::tool::look_for;
use super::workload::Scenario;
use crate::output;
use anyhow::Context as _;
use cargo_metadata::Metadata;
use procfs::{CurrentSI as _, KernelStats};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use time::OffsetDateTime;

/// A machine that does more beside the bench is busy.
const QUIET: f64 = 0.1;

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
    let refused = job.leave_out_refused();
    let mut known = Known::default();
    let measured = build::build(&context, &job.targets).and_then(|binaries| {
        rounds::all(&context, &job, &binaries, &mut known, &mut |known| {
            collect(&mut run, &job, known, &refused);
            run.write(&folder).and_then(|()| log(&raw, &known.windows))
        })
    });
    context.progress.finish();
    run.interrupted = measured.is_err();
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
    let kept = measured.unwrap_or(Ok(()));
    let kept = kept
        .and_then(|()| run.write(&folder))
        .and_then(|()| log(&raw, &known.windows))
        .and_then(|()| present::write(&run, &folder));
    // A disk that is full is no reason not to show it.
    output::print(present::tables(&run))?;
    kept?;
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

/// Whether it is known of the target that there are no figures: nothing went wrong then.
fn is_expected(row: &Row, job: &Job, refused: &Option<Refused>) -> bool {
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

/// All rows, in the order of workloads and targets.
fn collect(run: &mut Run, job: &Job, known: &Known, refused: &Option<Refused>) {
    run.rows.clear();
    for &scenario in &job.scenarios {
        for target in &job.targets {
            let row = if scenario.is_timed() {
                reduce::row(&known.windows, target, scenario)
            } else if scenario.is_idle() {
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
        if let Some(Refused { targets, why }) = refused {
            run.rows.extend(targets.iter().map(|target| Row {
                reason: Some(why.clone()),
                ..reduce::empty(target, scenario)
            }));
        }
    }
}

fn memory(known: &Known, target: &Target, scenario: &Scenario) -> Row {
    let mut row = reduce::empty(target, scenario);
    let key = (target.name.clone(), scenario.name);
    let runs = known.memory.get(&key).map_or(&[][..], Vec::as_slice);
    let (fresh, kept): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
    for (unit, values) in [(Unit::Fresh, fresh), (Unit::Kept, kept)] {
        if let Some(figure) = reduce::figure(&values) {
            row.figures.insert(unit, figure);
        }
    }
    row.rounds = runs.len();
    if runs.is_empty() {
        let reason = known.troubles.get(&key).map(|(_, reason)| reason.clone());
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
