//! `cargo xtask bench --check`: what noise cannot touch, against figures that are committed, so
//! that no regression lands unseen.

use super::build::{self, Binaries};
use super::context::Context;
use super::options::{Job, Options};
use super::row::{Unit, write};
use super::statistics::median;
use super::target::Target;
use super::tool::look_for_io_uring;
use super::workload::{Kind, Scenario};
use super::{counted, environment, idle};
use crate::output;
use anyhow::Context as _;
use anyport_bench_load::Interrupted;
use cargo_metadata::Metadata;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often what became worse is measured again: noise makes it worse now and then, a change each
/// time.
const SECOND_LOOKS: usize = 2;
/// So many times the connections of a run, since there is no other run to compare it with.
const IDLE: usize = 2;
/// Where the figures are committed.
const BASELINE: &str = "benches/baseline.json";
const ADVICE: &str = "If the change is meant to cost that, commit to it: `cargo xtask bench --check --update`. \
    Otherwise `callgrind_annotate target/bench/instructions-TARGET-360.out` shows where the instructions went.";

/// What is committed: figures by target, workload and unit, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Baseline {
    /// What instructions depend on beside the code.
    rustc: String,
    figures: Figures,
}

type Figures = BTreeMap<String, f64>;

/// How a figure stands to the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Same,
    Better,
    Worse,
    /// Another compiler makes other instructions.
    Incomparable,
    New,
}

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
    let refused = leave_out_refused(&mut job);
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
        let worse: Vec<String> = baseline.worse(&rustc, &figures);
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

fn leave_out_refused(job: &mut Job) -> String {
    let Err(why) = look_for_io_uring() else {
        return String::new();
    };
    let (refused, rest) = job
        .targets
        .drain(..)
        .partition(|target| target.needs_io_uring);
    job.targets = rest;
    let refused: Vec<Target> = refused;
    let names: Vec<&str> = refused.iter().map(|target| target.name.as_str()).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("{}: {why:#}", names.join(", ")),
    }
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
            if scenario.kind == Kind::Idle {
                figures.extend(self.idle(scenario, &targets)?);
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
}

impl Looks<'_> {
    /// All targets at once, since they share the waiting; several times if it is to be committed
    /// to.
    fn idle(&mut self, scenario: &Scenario, targets: &[&Target]) -> Result<Figures, Interrupted> {
        let mut runs: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for _ in 0..self.idle_runs {
            let connections = IDLE * scenario.connections;
            for (name, memory) in idle::measure(self.context, self.binaries, targets, connections)?
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

/// How much more or less means nothing, in the figure's own unit.
fn tolerance(name: &str, value: f64) -> f64 {
    let is_upload = name.contains("-upload ");
    match name.rsplit(' ').next().unwrap_or_default() {
        // What a read finds of an upload depends on what the load has sent by then.
        "instructions" if is_upload => 0.25 * value,
        "allocations" if is_upload => 16.0 + 0.25 * value,
        "syscalls" if is_upload => 16.0 + 0.5 * value,
        // They repeat to within a percent; with others that want the same cores, to within two.
        "instructions" => 0.02 * value,
        // A connection that hibernates on a busy machine has some more.
        "allocations" => 0.1,
        // Wake-ups are shared as the machine's other work lets them be.
        "syscalls" => 0.2 + 0.05 * value,
        // What an allocator keeps of a burst differs from run to run.
        _ => (0.1 * value).max(1.0),
    }
}

impl Baseline {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let place = path.display();
        let text = fs::read_to_string(path).with_context(|| {
            format!("cannot read {place}; `cargo xtask bench --check --update` makes it")
        })?;
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{place} is no baseline; remove it, and `cargo xtask bench --check --update` makes it anew"
            )
        })
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, &(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// What is measured now takes the place of what was before; the rest stays, if it is of the
    /// same compiler.
    fn take(&mut self, rustc: String, figures: Figures) {
        if self.rustc != rustc {
            *self = Self {
                rustc,
                ..Self::default()
            };
        }
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        self.figures.extend(
            figures
                .into_iter()
                .map(|(name, value)| (name, round(value))),
        );
    }

    fn finding(&self, rustc: &str, name: &str, value: f64) -> Finding {
        let Some(&known) = self.figures.get(name) else {
            return Finding::New;
        };
        let difference = value - known;
        if name.ends_with(" instructions") && self.rustc != rustc {
            Finding::Incomparable
        } else if difference.abs() <= tolerance(name, known) {
            Finding::Same
        } else if difference > 0.0 {
            Finding::Worse
        } else {
            Finding::Better
        }
    }

    fn worse(&self, rustc: &str, figures: &Figures) -> Vec<String> {
        let worse = figures
            .iter()
            .filter(|(name, value)| self.finding(rustc, name, **value) == Finding::Worse);
        worse.map(|(name, _)| name.clone()).collect()
    }
}

/// A line for each figure, then what to do, then what it comes to; and whether that is good.
fn report(
    baseline: &Baseline,
    rustc: &str,
    figures: &Figures,
    failures: &[String],
    refused: &str,
) -> (String, bool) {
    let mut text = String::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, &value) in figures {
        let verdict = match baseline.finding(rustc, name, value) {
            Finding::Same => "as before",
            Finding::Better => "better: commit to it by --update",
            Finding::Worse => "WORSE",
            Finding::New => "new: commit to it by --update",
            Finding::Incomparable => "of another compiler",
        };
        *counts.entry(verdict).or_default() += 1;
        let before = baseline
            .figures
            .get(name)
            .map_or_else(|| "unknown".to_owned(), |known| format!("{known:.2}"));
        text += &format!("{name:48} {before:>12} -> {value:>12.2}  {verdict}\n");
    }
    for failure in failures {
        text += &format!("not measured: {failure}\n");
    }
    if !refused.is_empty() {
        text += &format!("NOT COMPARED: {refused}\n");
    }
    let compared = figures.len()
        - counts
            .get("of another compiler")
            .copied()
            .unwrap_or_default();
    let is_good = compared > 0
        && failures.is_empty()
        && !counts.contains_key("WORSE")
        && !counts.contains_key("new: commit to it by --update");
    if counts.contains_key("WORSE") {
        text += &format!("\n{ADVICE}\n");
    }
    let said: Vec<String> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    let said = if said.is_empty() {
        "nothing could be compared".to_owned()
    } else {
        said.join("; ")
    };
    (text + &format!("\n{said}\n"), is_good)
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Figures, Finding, report};

    fn baseline() -> Baseline {
        let figures = [
            ("tcp instructions instructions", 7000.0),
            ("tcp instructions allocations", 2.0),
            ("tcp syscalls syscalls", 2.02),
            ("tcp syscalls-upload syscalls", 140.0),
            ("tcp idle kept", 0.85),
        ];
        Baseline {
            rustc: "1".to_owned(),
            figures: figures.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    #[test]
    fn each_figure_has_its_own_tolerance() {
        for (name, value, expected) in [
            ("tcp instructions instructions", 7130.0, Finding::Same),
            ("tcp instructions instructions", 7150.0, Finding::Worse),
            ("tcp instructions instructions", 6850.0, Finding::Better),
            ("tcp instructions allocations", 3.0, Finding::Worse),
            ("tcp syscalls syscalls", 2.31, Finding::Same),
            ("tcp syscalls syscalls", 3.02, Finding::Worse),
            ("tcp syscalls-upload syscalls", 200.0, Finding::Same),
            ("tcp syscalls-upload syscalls", 8_000.0, Finding::Worse),
            ("tcp idle kept", 1.4, Finding::Same),
            ("tcp idle kept", 8.85, Finding::Worse),
            ("tcp idle fresh", 1.0, Finding::New),
        ] {
            assert_eq!(
                baseline().finding("1", name, value),
                expected,
                "{name} {value}"
            );
        }
    }

    #[test]
    fn another_compiler_makes_instructions_incomparable_and_nothing_else() {
        let figures: Figures = baseline()
            .figures
            .into_iter()
            .map(|(name, value)| (name, 2.0 * value))
            .collect();
        let worse = baseline().worse("2", &figures);
        assert!(
            !worse.contains(&"tcp instructions instructions".to_owned()),
            "{worse:?}"
        );
        assert!(
            worse.contains(&"tcp instructions allocations".to_owned()),
            "{worse:?}"
        );
    }

    #[test]
    fn what_became_worse_is_named_and_fails() {
        let mut figures = baseline().figures;
        assert!(report(&baseline(), "1", &figures, &[], "").1);
        figures.insert("tcp syscalls syscalls".to_owned(), 3.02);
        let (text, is_good) = report(&baseline(), "1", &figures, &[], "");
        assert!(
            !is_good && text.contains("3.02  WORSE") && text.contains("1 WORSE"),
            "{text}"
        );
    }

    #[test]
    fn nothing_compared_is_no_success() {
        let (text, is_good) = report(
            &baseline(),
            "1",
            &Figures::new(),
            &[],
            "monoio: io_uring is refused",
        );
        assert!(!is_good && text.contains("NOT COMPARED: monoio"), "{text}");
        assert!(
            !report(
                &baseline(),
                "1",
                &baseline().figures,
                &["tcp: dead".to_owned()],
                ""
            )
            .1
        );
    }

    #[test]
    fn an_update_replaces_what_was_measured_and_keeps_the_rest() {
        let mut updated = baseline();
        updated.take("1".to_owned(), [("tcp idle kept".to_owned(), 1.0)].into());
        assert_eq!(
            (updated.figures.len(), updated.figures["tcp idle kept"]),
            (5, 1.0)
        );
        updated.take("2".to_owned(), [("tcp idle kept".to_owned(), 1.0)].into());
        assert_eq!(updated.figures.len(), 1);
    }
}
