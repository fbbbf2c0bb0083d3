//! `cargo xtask bench --check`: what noise cannot touch, against figures that are committed, so
//! that no regression lands unseen.

use super::baseline::{Baseline, Figures, report};
use super::build::{self, Binaries};
use super::context::Context;
use super::options::{Job, Options};
use super::row::Unit;
use super::statistics::median;
use super::target::Target;
use super::workload::{Kind, Scenario};
use super::{counted, environment, idle};
use crate::output;
use anyport_bench_load::{Interrupted, Workload};
use cargo_metadata::Metadata;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

/// How often what became a little worse is measured again: noise makes it worse now and then, a
/// change each time.
const SECOND_LOOKS: usize = 2;
/// So many times the connections of a run, since there is no other run to compare it with.
const IDLE: usize = 2;
/// Where the figures are committed.
const BASELINE: &str = "benches/baseline.json";
/// Measures, and compares; with `--update`, commits to what is measured instead.
///
/// # Errors
///
/// When a tool is missing, or the baseline cannot be read or written.
pub(super) fn run(options: &Options, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let mut job = options.job();
    let context = Context::new(metadata, options.workers)?;
    let path = options
        .baseline
        .clone()
        .unwrap_or_else(|| context.root.join(BASELINE).into());
    let rustc = environment::look(context.root.as_std_path())
        .remove("tool.rustc")
        .unwrap_or_default();
    let mut baseline = match (options.update, path.exists()) {
        (true, false) => Baseline::default(),
        _ => Baseline::read(&path)?,
    };
    // Nobody is to believe that something was looked at which this machine cannot count.
    counted::look_for_tools()?;
    let refused = job.leave_out_refused();
    let refused = refused.filter(|refused| !refused.targets.is_empty());
    let refused = refused.map_or(String::new(), |refused| {
        let names: Vec<&str> = refused.targets.iter().map(|of| &*of.name).collect();
        format!("{}: {}", names.join(", "), refused.why)
    });
    let Ok(binaries) = build::build(&context, &job.targets) else {
        return Ok(ExitCode::from(130));
    };
    let mut looks = Looks {
        context: &context,
        binaries: &binaries,
        job: &job,
        idle_runs: if options.update { 3 } else { 1 },
        failures: Vec::new(),
    };
    let Ok(mut figures) = looks.measure(|_, _| true) else {
        return Ok(ExitCode::from(130));
    };
    if options.update {
        context.progress.finish();
        let failures = looks.failures.join("; ");
        anyhow::ensure!(
            failures.is_empty(),
            "{} stays as it is: {failures}",
            path.display()
        );
        baseline.take(rustc, figures);
        baseline.write(&path)?;
        output::print(format!(
            "{} has the figures of now; commit it with what changed them.\n",
            path.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    for _ in 0..SECOND_LOOKS {
        let worse = baseline.doubtful(&rustc, &figures);
        if worse.is_empty() {
            break;
        }
        let is_worse = |target: &Target, scenario: &Scenario| {
            let start = key(target, scenario, None);
            worse.iter().any(|name| name.starts_with(&start))
        };
        let Ok(again) = looks.measure(is_worse) else {
            return Ok(ExitCode::from(130));
        };
        for (name, value) in again {
            figures
                .entry(name)
                .and_modify(|known| *known = known.min(value));
        }
    }
    context.progress.finish();
    let (text, is_good) = report(&baseline, &rustc, &figures, &looks.failures, &refused);
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
/// When the bench cannot begin.
pub(super) fn build(job: &Job, metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let context = Context::new(metadata, std::num::NonZeroUsize::MIN)?;
    Ok(match build::build(&context, &job.targets) {
        Ok(binaries) if binaries.are_all() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(Interrupted) => ExitCode::from(130),
    })
}

fn key(target: &Target, scenario: &Scenario, unit: Option<Unit>) -> String {
    format!("{target} {} {}", scenario.name, unit.map_or("", Unit::name))
}

/// What looks at the figures, as often as needed.
struct Looks<'a> {
    context: &'a Context,
    binaries: &'a Binaries,
    job: &'a Job,
    idle_runs: usize,
    /// What should have a figure and has none.
    failures: Vec<String>,
}

impl Looks<'_> {
    fn measure(
        &mut self,
        is_meant: impl Fn(&Target, &Scenario) -> bool,
    ) -> Result<Figures, Interrupted> {
        let mut figures = Figures::new();
        for &scenario in &self.job.scenarios {
            let is_meant =
                |target: &&Target| target.serves(scenario).is_ok() && is_meant(target, scenario);
            let targets: Vec<&Target> = self.job.targets.iter().filter(is_meant).collect();
            if let Kind::Idle(workload) = scenario.kind {
                figures.extend(self.idle(scenario, workload, &targets)?);
                continue;
            }
            for target in targets {
                let counted = counted::measure(self.context, self.binaries, target, scenario);
                self.context.patience.check()?;
                match counted {
                    Ok(counted) => {
                        figures.extend(counted.into_iter().map(|(unit, figure)| {
                            (key(target, scenario, Some(unit)), figure.value)
                        }))
                    }
                    Err(error) => self
                        .failures
                        .push(format!("{target}, {}: {error:#}", scenario.name)),
                }
            }
        }
        self.context.patience.pause(Duration::ZERO)?;
        Ok(figures)
    }

    /// All targets at once, since they share the waiting; several times if it is to be committed
    /// to.
    fn idle(
        &mut self,
        scenario: &Scenario,
        workload: Workload,
        targets: &[&Target],
    ) -> Result<Figures, Interrupted> {
        let mut runs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for _ in 0..self.idle_runs {
            let connections = IDLE * scenario.connections;
            for (name, memory) in
                idle::measure(self.context, self.binaries, targets, workload, connections)?
            {
                match memory {
                    Ok((fresh, kept)) => {
                        for (unit, value) in [("fresh", fresh), ("kept", kept)] {
                            runs.entry(format!("{name} {} {unit}", scenario.name))
                                .or_default()
                                .push(value);
                        }
                    }
                    Err(error) => self
                        .failures
                        .push(format!("{name}, {}: {error:#}", scenario.name)),
                }
            }
        }
        let median = |(name, values): (String, Vec<f64>)| Some((name, median(&values)?));
        Ok(runs.into_iter().filter_map(median).collect())
    }
}
