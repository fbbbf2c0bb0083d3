//! `cargo xtask bench --check`: counted figures beside those of the baseline.

use super::baseline::{Baseline, Figures, report};
use super::build::{self, Binaries};
use super::context::Context;
use super::options::{Job, Options, checked_targets};
use super::row::Unit;
use super::statistics::median;
use super::target::Target;
use super::workload::{Kind, Scenario};
use super::{counted, environment, idle};
use crate::output;
use anyport_bench_load::{Interrupted, Workload};
use cargo_metadata::Metadata;
use std::collections::BTreeMap;
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
///
/// # Errors
///
/// When a tool is missing, or the baseline cannot be read or written.
pub(super) fn run(options: &Options, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let context = Context::new(metadata, options.workers)?;
    let checked = check(options, &context);
    context.progress.finish();
    match checked {
        Err(error) if error.is::<Interrupted>() => Ok(ExitCode::from(130)),
        checked => checked,
    }
}

fn check(options: &Options, context: &Context) -> anyhow::Result<ExitCode> {
    let mut job = options.job();
    let default = || context.root.join(BASELINE).into();
    let path = options.baseline.clone().unwrap_or_else(default);
    let rustc = environment::read(context.root.as_std_path()).remove("tool.rustc");
    let rustc = rustc.unwrap_or_default();
    let mut baseline = match options.update && !path.exists() {
        true => Baseline::default(),
        false => Baseline::read(&path)?,
    };
    counted::require_tools()?;
    let refused = job
        .take_refused()
        .filter(|refused| !refused.targets.is_empty());
    let refused = refused.map(|refused| {
        let names: Vec<&str> = refused.targets.iter().map(|of| &*of.name).collect();
        format!("{}: {}", names.join(", "), refused.reason)
    });
    let binaries = build::build(context, &job.targets)?;
    let mut check = Check {
        context,
        binaries: &binaries,
        job: &job,
        idle_runs: if options.update { UPDATE_RUNS } else { 1 },
        failures: Vec::new(),
    };
    let mut figures = check.measure(|_, _| true)?;
    let file = path.display();
    if options.update {
        let failures = check.failures.join("; ");
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
        let is_doubtful = |target: &Target, scenario: &Scenario| {
            let prefix = format!("{target} {} ", scenario.name);
            doubtful.iter().any(|name| name.starts_with(&prefix))
        };
        for (name, value) in check.measure(is_doubtful)? {
            let figure = figures.entry(name).or_insert(value);
            *figure = figure.min(value);
        }
    }
    let refused = refused.as_deref();
    let (text, is_good) = report(&baseline, &rustc, &figures, &check.failures, refused);
    output::print(text)?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Builds what is checked.
///
/// # Errors
///
/// When the bench cannot start.
pub(super) fn build(metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let context = Context::new(metadata, NonZeroUsize::MIN)?;
    Ok(match build::build(&context, &checked_targets()) {
        Ok(binaries) if binaries.are_complete() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Interrupted) => ExitCode::from(130),
    })
}

struct Check<'a> {
    context: &'a Context,
    binaries: &'a Binaries,
    job: &'a Job,
    idle_runs: usize,
    /// What has no figure, and why.
    failures: Vec<String>,
}

impl Check<'_> {
    fn measure(
        &mut self,
        is_meant: impl Fn(&Target, &Scenario) -> bool,
    ) -> Result<Figures, Interrupted> {
        let mut figures = Figures::new();
        for &scenario in &self.job.scenarios {
            let is_meant = |of: &&Target| of.supports(scenario).is_ok() && is_meant(of, scenario);
            let targets: Vec<&Target> = self.job.targets.iter().filter(is_meant).collect();
            if let Kind::Idle(workload) = scenario.kind {
                figures.extend(self.idle(scenario, workload, &targets)?);
                continue;
            }
            for target in targets {
                let counted = counted::measure(self.context, self.binaries, target, scenario);
                self.context.timeout.check()?;
                match counted {
                    Ok(counted) => {
                        figures.extend(counted.into_iter().map(|(unit, figure)| {
                            (name(&target.name, scenario, unit), figure.value)
                        }))
                    }
                    Err(error) => self.fail(&target.name, scenario, &error),
                }
            }
        }
        Ok(figures)
    }

    /// Measures all targets at once, since they share the waiting.
    fn idle(
        &mut self,
        scenario: &Scenario,
        workload: Workload,
        targets: &[&Target],
    ) -> Result<Figures, Interrupted> {
        let mut runs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let connections = CONNECTIONS * scenario.connections;
        for _ in 0..self.idle_runs {
            for (target, memory) in
                idle::measure(self.context, self.binaries, targets, workload, connections)?
            {
                match memory {
                    Ok((fresh, kept)) => {
                        for (unit, value) in [(Unit::Fresh, fresh), (Unit::Kept, kept)] {
                            let values = runs.entry(name(&target, scenario, unit));
                            values.or_default().push(value);
                        }
                    }
                    Err(error) => self.fail(&target, scenario, &error),
                }
            }
        }
        let median = |(name, values): (String, Vec<f64>)| Some((name, median(&values)?));
        Ok(runs.into_iter().filter_map(median).collect())
    }

    fn fail(&mut self, target: &str, scenario: &Scenario, error: &anyhow::Error) {
        let failure = format!("{target}, {}: {error:#}", scenario.name);
        self.failures.push(failure);
    }
}

/// The name of a figure in the baseline.
fn name(target: &str, scenario: &Scenario, unit: Unit) -> String {
    format!("{target} {} {}", scenario.name, unit.name())
}
