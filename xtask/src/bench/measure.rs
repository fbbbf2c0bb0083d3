//! A run: its start, its rows, its files and its exit code.

use super::build;
use super::context::Context;
use super::environment::{self, Environment};
use super::noise::Sample;
use super::options::{Job, Options};
use super::present;
use super::progress::minutes;
use super::reduce;
use super::results::Results;
use super::rounds;
use super::row::{RESULTS, Run};
use super::timed::Window;
use crate::output;
use anyhow::Context as _;
use anyport_bench_load::{Interrupted, require};
use cargo_metadata::Metadata;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use time::OffsetDateTime;

/// The share of other programs on a quiet machine.
const QUIET: f64 = 0.1;

/// Measures, prints, and writes all files of the run. Gives the exit code.
pub(super) fn run(options: &Options, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let job = options.job();
    let mut context = Context::new(metadata, options.workers)?;
    require("taskset", "util-linux")?;
    let environment = environment::read(context.root.as_std_path());
    let runs = context.target_dir.join("bench").into_std_path_buf();
    let folder = folder(&runs, options, &environment)?;
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    let name = name.to_string_lossy().into_owned();
    let raw = runs.join(&name);
    let mut run = Run::new(name, command(), environment);
    run.write(&folder)?;
    let busy = busy(&context)?;
    output::note(&busy);
    run.notes.push(busy);
    output::note(format!(
        "{} targets, {} workloads; at most {} of measuring after the builds. Results so far are \
        in {}.",
        job.targets.len(),
        job.scenarios.len(),
        minutes(job.time),
        folder.display()
    ));
    let mut results = Results::default();
    let built = build::build(&mut context, &job.targets).map_err(Into::into);
    let measured = built.and_then(|()| {
        rounds::all(&context, &job, &mut results, &mut |results| {
            add_rows(&mut run, &job, results);
            run.write(&folder)?;
            write_windows(&raw, &results.windows)
        })
    });
    context.progress.finish();
    let measured = match measured {
        Err(error) if error.is::<Interrupted>() => {
            run.interrupted = true;
            Ok(())
        }
        measured => measured,
    };
    let is_complete = add_rows(&mut run, &job, &results);
    let remarks = job.targets.iter().filter_map(|target| target.remark);
    run.notes.extend(remarks.map(str::to_owned));
    // The proxies have the same.
    run.notes.dedup();
    let written = measured
        .and_then(|()| run.write(&folder))
        .and_then(|()| write_windows(&raw, &results.windows))
        .and_then(|()| present::write(&run, &folder));
    // The tables are printed even if the disk is full.
    output::print(present::tables(&run))?;
    written?;
    output::note(format!(
        "results, tables and the page: {}",
        folder.display()
    ));
    Ok(match (run.interrupted, is_complete) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}

/// All rows so far, in the order of workloads and targets. Whether all that can be measured was.
fn add_rows(run: &mut Run, job: &Job, results: &Results) -> bool {
    run.rows.clear();
    let mut is_complete = true;
    for &scenario in &job.scenarios {
        for target in &job.targets {
            let row = reduce::row(results, target, scenario);
            is_complete &= row.reason.is_none() || target.supports(scenario).is_err();
            run.rows.push(row);
        }
    }
    is_complete
}

/// How busy the machine is, and what that does to the figures.
fn busy(context: &Context) -> anyhow::Result<String> {
    const DURATION: Duration = Duration::from_millis(500);
    let before = Sample::take(&[], &[])?;
    context.timeout.sleep(DURATION)?;
    let share = Sample::take(&[], &[])?.foreign_since(&before);
    let meaning = match share < QUIET {
        true => "it is quiet.",
        false => {
            "intervals are wider, disturbed rounds are kept and marked, and rates are too low; \
            counts and ratios are right."
        }
    };
    let percent = 100.0 * share;
    Ok(format!(
        "Other programs take {percent:.0} % of this machine: {meaning}"
    ))
}

fn folder(runs: &Path, options: &Options, environment: &Environment) -> anyhow::Result<PathBuf> {
    let path = options.output.clone().unwrap_or_else(|| {
        let mut name = environment::timestamp(OffsetDateTime::now_utc()).replace(':', "-");
        if let Some(commit) = environment.get("commit") {
            name = format!("{name}-{}", commit.split(' ').next().unwrap_or_default());
        }
        runs.join(name)
    });
    anyhow::ensure!(
        !path.join(RESULTS).exists(),
        "{} holds a run already; name another folder, or remove it",
        path.display()
    );
    Ok(path)
}

/// Writes each window on a line.
fn write_windows(folder: &Path, windows: &[Window]) -> anyhow::Result<()> {
    let path = folder.join("windows.jsonl");
    let write = || -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = std::io::BufWriter::new(File::create(&path)?);
        for window in windows {
            serde_json::to_writer(&mut file, window)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The command that repeats this run.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}
