//! `cargo xtask bench --check`: counted figures beside those of the baseline.

use super::baseline::{Baseline, Figures, report};
use super::build;
use super::context::Context;
use super::options::{Job, Options, checked_targets};
use super::results::Results;
use super::row::Unit;
use super::target::Target;
use super::workload::Scenario;
use super::{counted, environment, idle, reduce};
use crate::output;
use anyport_bench_load::Interrupted;
use cargo_metadata::Metadata;
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// How often a figure that became a little worse is measured again. Noise makes it worse now and
/// then, a change of the code each time.
const RETRIES: usize = 2;
/// How often idle memory is measured for the baseline, which has the median.
const UPDATE_RUNS: usize = 3;
/// So many times the connections of a run, for less noise.
const CONNECTIONS: usize = 2;
const BASELINE: &str = "benches/baseline.json";

/// Measures and compares. With `--update`, writes the figures into the baseline instead.
pub(super) fn run(options: &Options, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let mut context = Context::new(metadata, options.workers)?;
    let checked = check(options, &mut context);
    context.progress.finish();
    match checked {
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::from(130)),
        checked => checked,
    }
}

fn check(options: &Options, context: &mut Context) -> anyhow::Result<ExitCode> {
    let job = options.job();
    let default = || context.root.join(BASELINE).into();
    let path = options.baseline.clone().unwrap_or_else(default);
    let rustc = environment::read(context.root.as_std_path()).remove("tool.rustc");
    let rustc = rustc.unwrap_or_default();
    let mut baseline = match options.update && !path.exists() {
        true => Baseline::default(),
        false => Baseline::read(&path)?,
    };
    counted::require_tools()?;
    let refused = job.targets.iter().filter_map(|target| {
        let reason = target.refusal()?;
        Some(format!("NOT COMPARED: {target}: {reason}\n"))
    });
    let refused: String = refused.collect();
    build::build(context, &job.targets)?;
    let idle_runs = if options.update { UPDATE_RUNS } else { 1 };
    let (mut figures, mut failures) = measure(context, &job, idle_runs, |_, _| true)?;
    let file = path.display();
    if options.update {
        let failures = failures.join("; ");
        anyhow::ensure!(failures.is_empty(), "{file} stays as it is: {failures}");
        baseline.update(rustc, figures);
        baseline.write(&path)?;
        let text = format!("{file} has the new figures; commit it with the change of the code.\n");
        output::print(text)?;
        return Ok(ExitCode::SUCCESS);
    }
    for _ in 0..RETRIES {
        let doubtful = baseline.doubtful(&rustc, &figures);
        if doubtful.is_empty() {
            break;
        }
        let (again, others) = measure(context, &job, 1, |target, scenario| {
            let prefix = format!("{target} {} ", scenario.name);
            doubtful.iter().any(|name| name.starts_with(&prefix))
        })?;
        failures.extend(others);
        for (name, value) in again {
            let figure = figures.entry(name).or_insert(value);
            *figure = figure.min(value);
        }
    }
    let (text, is_good) = report(&baseline, &rustc, &figures, &failures);
    output::print(refused + &text)?;
    Ok(ExitCode::from(u8::from(!is_good)))
}

/// Builds what is checked.
pub(super) fn build(metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let mut context = Context::new(metadata, NonZeroUsize::MIN)?;
    Ok(match build::build(&mut context, &checked_targets()) {
        Ok(()) if context.binaries.values().all(Result::is_ok) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Interrupted) => ExitCode::from(130),
    })
}

/// The figures of what is meant, and what has none and why.
fn measure(
    context: &Context,
    job: &Job,
    idle_runs: usize,
    is_meant: impl Fn(&Target, &Scenario) -> bool,
) -> Result<(Figures, Vec<String>), Interrupted> {
    let (mut figures, mut failures) = (Figures::new(), Vec::new());
    for &scenario in &job.scenarios {
        let mut results = Results::default();
        let is_meant = |of: &&Target| of.supports(scenario).is_ok() && is_meant(of, scenario);
        let targets: Vec<&Target> = job.targets.iter().filter(is_meant).collect();
        match scenario.is_idle() {
            false => counted::measure(context, &targets, scenario, None, &mut results)?,
            true => {
                // At once, since they share the waiting.
                let runs = targets.repeat(idle_runs);
                let connections = CONNECTIONS * scenario.connections;
                idle::measure(context, &runs, scenario, connections, &mut results)?;
            }
        }
        for target in targets {
            let row = reduce::row(&results, target, scenario);
            let failure = |reason| format!("{target}, {}: {reason}", scenario.name);
            failures.extend(row.reason.map(failure));
            let name = |unit: Unit| format!("{target} {} {}", scenario.name, unit.name());
            let row = row.figures.into_iter();
            figures.extend(row.map(|(unit, figure)| (name(unit), figure.value)));
        }
    }
    Ok((figures, failures))
}
