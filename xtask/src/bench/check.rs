//! `cargo xtask bench --check`: the figures that noise can't touch, against those that are committed, so that no regression lands unseen.

use super::report::{Report, Row, Unit};
use super::results::Environment;
use super::session::Session;
use super::target::{Allocator, Target};
use super::text::{grouped, wrap};
use super::{counted, environment, exit_code, idle, tolerance};
use crate::output;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// What's checked if nobody says: both are in one binary, which is built without any other runtime.
pub(super) const DEFAULT: [Target; 2] = [Target::TcpPerCore, Target::Tcp];
/// Where the figures are committed.
const BASELINE: &str = "benches/baseline.json";
/// What instructions depend on beside the code. Libc chooses routines for the processor, too, but an EPYC and a Xeon were seen to differ by 0.2 %, which the tolerance
/// bears.
const MACHINE: [&str; 1] = ["tool.rustc"];

/// What's committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Baseline {
    machine: BTreeMap<String, String>,
    figures: Vec<Figure>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    target: String,
    unit: Unit,
    workload: String,
    connections: usize,
    value: f64,
}

/// How a value stands to the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    Same,
    Better,
    Regression,
    /// It depends on a machine that's another.
    Incomparable,
    /// There's no committed one.
    New,
}

/// Measures, and compares; with `update`, commits to what's measured instead.
///
/// # Errors
///
/// When something can't be measured, or the baseline can't be read or written.
pub(super) fn run(session: &mut Session, update: bool) -> anyhow::Result<ExitCode> {
    let path = session.root.join(BASELINE);
    let path = path.as_std_path();
    let machine = machine(&environment::look(session.root.as_std_path()));
    let mut baseline = match (update, path.exists()) {
        (true, false) => Baseline::default(),
        _ => read(path)?,
    };
    let mut figures = Vec::new();
    let mut take = |session: &mut Session, report: Report| {
        session.progress.finish_and_clear();
        figures.extend(
            report
                .rows
                .iter()
                .map(Figure::of)
                .collect::<anyhow::Result<Vec<_>>>()?,
        );
        anyhow::Ok(report.interrupted)
    };
    for counted in [&counted::INSTRUCTIONS, &counted::SYSCALLS, &counted::ALLOCATIONS] {
        // What this machine can't count is no regression, but nobody is to believe that it was looked at.
        if let Err(error) = counted.look_for_tool() {
            output::print(format!("{}: not checked: {error:#}\n", counted.figure()))?;
            continue;
        }
        let report = counted::run(session, counted);
        if take(session, report)? {
            return Ok(exit_code(true, false));
        }
    }
    let report = idle::run(session, &[Allocator::Mimalloc]);
    if take(session, report)? {
        return Ok(exit_code(true, false));
    }
    if update {
        baseline.take(machine, figures);
        write(path, &baseline)?;
        output::print(format!(
            "{BASELINE} has the figures of now; commit it with what changed them.\n"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (text, is_good) = baseline.compare(&machine, &figures);
    output::print(text)?;
    Ok(exit_code(false, is_good))
}

fn machine(environment: &Environment) -> BTreeMap<String, String> {
    let known = |name: &str| Some((name.to_owned(), environment.get(name)?.clone()));
    MACHINE.into_iter().filter_map(known).collect()
}

fn read(path: &Path) -> anyhow::Result<Baseline> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read {}; `cargo xtask bench --check --update` makes it",
            path.display()
        )
    })?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} isn't what the bench writes; `cargo xtask bench --check --update` makes it anew, once it's removed",
            path.display()
        )
    })
}

fn write(path: &Path, baseline: &Baseline) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(baseline)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

impl Figure {
    fn of(row: &Row) -> anyhow::Result<Self> {
        let value = row.value.with_context(|| {
            let reason = row.reason.as_deref().unwrap_or("it has no value");
            format!(
                "{} of {} cannot be checked: {reason}",
                row.unit.label(),
                row.target
            )
        })?;
        Ok(Self {
            target: row.target.name().to_owned(),
            unit: row.unit,
            workload: row.workload.to_owned(),
            connections: row.connections,
            value,
        })
    }

    fn is_about_the_same_as(&self, other: &Self) -> bool {
        (&self.target, self.unit, &self.workload, self.connections)
            == (&other.target, other.unit, &other.workload, other.connections)
    }
}

impl Baseline {
    /// What's measured now takes the place of what was before; what isn't measured now stays, if it's of the same machine.
    fn take(&mut self, machine: BTreeMap<String, String>, figures: Vec<Figure>) {
        if self.machine != machine {
            self.figures.clear();
            self.machine = machine;
        }
        self.figures
            .retain(|known| !figures.iter().any(|figure| figure.is_about_the_same_as(known)));
        self.figures.extend(figures);
        self.figures.sort_by(|a, b| {
            let key = |figure: &Figure| {
                (
                    figure.target.clone(),
                    figure.unit,
                    figure.workload.clone(),
                    figure.connections,
                )
            };
            key(a).cmp(&key(b))
        });
    }

    fn find(&self, figure: &Figure) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|known| known.is_about_the_same_as(figure))
    }

    fn finding(&self, machine: &BTreeMap<String, String>, figure: &Figure) -> Finding {
        let Some(known) = self.find(figure) else {
            return Finding::New;
        };
        // All that's checked is counted.
        let differs = tolerance::is_exceeded(figure.unit, known.value, figure.value).unwrap_or(true);
        if figure.unit == Unit::Instructions && *machine != self.machine {
            Finding::Incomparable
        } else if !differs {
            Finding::Same
        } else if figure.value > known.value {
            Finding::Regression
        } else {
            Finding::Better
        }
    }

    /// What there's to say, and whether nothing has become worse.
    fn compare(&self, machine: &BTreeMap<String, String>, figures: &[Figure]) -> (String, bool) {
        let mut text = String::new();
        let mut is_good = true;
        for figure in figures {
            let finding = self.finding(machine, figure);
            let number = |value| grouped(value, figure.unit.decimals());
            let before = self
                .find(figure)
                .map_or_else(|| "unknown".to_owned(), |known| number(known.value));
            let verdict = match finding {
                Finding::Same => "as before",
                Finding::Better => "better: take it down by --update",
                Finding::Regression => "WORSE",
                Finding::Incomparable => "of another machine",
                Finding::New => "new: take it down by --update",
            };
            is_good &= !matches!(finding, Finding::Regression | Finding::New);
            text += &format!(
                "{:16} {:9} {:>4} {:24} {:>10} -> {:>8}  {verdict}\n",
                figure.target,
                figure.workload,
                figure.connections,
                figure.unit.label(),
                before,
                number(figure.value),
            );
        }
        if *machine != self.machine {
            text += &format!("\n{}\n", wrap(&self.difference(machine)));
        }
        if !is_good {
            let advice = "If that's what the change is for, take it down: `cargo xtask bench --check --update`. Else `callgrind_annotate \
                          target/bench/instructions-TARGET-8-12000.out` shows where the instructions went.";
            text += &format!("\n{}\n", wrap(advice));
        }
        (text, is_good)
    }

    fn difference(&self, machine: &BTreeMap<String, String>) -> String {
        let unknown = "unknown".to_owned();
        let differing = MACHINE
            .into_iter()
            .filter(|&name| machine.get(name) != self.machine.get(name));
        let say = |name: &str| {
            let value = |machine: &BTreeMap<String, String>| machine.get(name).unwrap_or(&unknown).clone();
            format!("{name} is {} and was {}", value(machine), value(&self.machine))
        };
        let differences: Vec<String> = differing.map(say).collect();
        format!(
            "Instructions aren't compared, since they depend on the machine: {}.",
            differences.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Baseline, Figure, Finding, Unit};

    fn figure(unit: Unit, value: f64) -> Figure {
        Figure {
            target: "tcp".to_owned(),
            unit,
            workload: "plaintext".to_owned(),
            connections: 8,
            value,
        }
    }

    fn machine(rustc: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("tool.rustc".to_owned(), rustc.to_owned())])
    }

    fn baseline() -> Baseline {
        Baseline {
            machine: machine("1"),
            figures: vec![
                figure(Unit::Instructions, 7000.0),
                figure(Unit::Syscalls, 2.02),
                figure(Unit::Allocations, 2.0),
                figure(Unit::Kibibytes, 0.85),
            ],
        }
    }

    #[test]
    fn each_figure_has_its_own_tolerance() {
        for (unit, value, expected) in [
            (Unit::Instructions, 7060.0, Finding::Same),
            (Unit::Instructions, 7080.0, Finding::Regression),
            (Unit::Instructions, 6900.0, Finding::Better),
            (Unit::Syscalls, 2.11, Finding::Same),
            (Unit::Syscalls, 2.13, Finding::Regression),
            (Unit::Allocations, 2.01, Finding::Same),
            (Unit::Allocations, 3.0, Finding::Regression),
            (Unit::Kibibytes, 1.3, Finding::Same),
            (Unit::Kibibytes, 1.4, Finding::Regression),
            (Unit::Bytes, 1.0, Finding::New),
        ] {
            let found = baseline().finding(&machine("1"), &figure(unit, value));
            assert_eq!(found, expected, "{unit:?} {value}");
        }
    }

    #[test]
    fn another_compiler_makes_instructions_incomparable_and_nothing_else() {
        let figures = [figure(Unit::Instructions, 9000.0), figure(Unit::Allocations, 2.0)];
        let (text, is_good) = baseline().compare(&machine("2"), &figures);
        assert!(is_good, "{text}");
        assert!(
            text.contains("of another machine") && text.contains("tool.rustc is 2 and was 1"),
            "{text}"
        );
        let (text, is_good) = baseline().compare(&machine("2"), &[figure(Unit::Allocations, 3.0)]);
        assert!(!is_good && text.contains("WORSE"), "{text}");
    }

    #[test]
    fn an_update_replaces_what_was_measured_and_keeps_the_rest() {
        let mut updated = baseline();
        updated.take(machine("1"), vec![figure(Unit::Syscalls, 1.0)]);
        assert_eq!(updated.figures.len(), 4);
        assert_eq!(updated.find(&figure(Unit::Syscalls, 0.0)).unwrap().value, 1.0);
        updated.take(machine("2"), vec![figure(Unit::Syscalls, 1.0)]);
        assert_eq!(updated.figures, [figure(Unit::Syscalls, 1.0)]);
    }
}
