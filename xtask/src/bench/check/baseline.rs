//! The figures that are committed, and how those of now stand to them.

use crate::bench::report::{Row, Unit};
use crate::bench::results::Environment;
use crate::bench::target::Target;
use crate::bench::tolerance;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What instructions depend on beside the code. Libc chooses routines for the processor, too, but an EPYC and a Xeon were seen to differ by 0.2 %, which the tolerance
/// bears.
const MACHINE: [&str; 1] = ["tool.rustc"];

/// What the figures were counted with.
pub(super) type Machine = BTreeMap<String, String>;

/// What's committed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    machine: Machine,
    figures: Vec<Figure>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) target: String,
    pub(super) unit: Unit,
    pub(super) workload: String,
    pub(super) connections: usize,
    pub(super) value: f64,
}

/// How a value stands to the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Same,
    Better,
    Regression,
    /// It depends on a machine that's another.
    Incomparable,
    /// There's no committed one.
    New,
}

pub(super) fn machine(environment: &Environment) -> Machine {
    let known = |name: &str| Some((name.to_owned(), environment.get(name)?.clone()));
    MACHINE.into_iter().filter_map(known).collect()
}

impl Figure {
    /// Nothing of a row without a value.
    ///
    /// Of memory it's the lowest run, since an allocator may keep more than connections need, but never less. What's counted is a difference, and may err to either side: it's the
    /// median.
    pub(super) fn of(row: &Row) -> Option<Self> {
        let lowest = row
            .span
            .filter(|_| row.unit == Unit::Kibibytes)
            .map(|span| span.lowest);
        Some(Self {
            target: row.target.name().to_owned(),
            unit: row.unit,
            workload: row.workload.to_owned(),
            connections: row.connections,
            value: lowest.or(row.value)?,
        })
    }

    /// With the value of another run, if that's lower.
    pub(super) fn take_lower(&mut self, again: &[Self]) {
        let mut same = again.iter().filter(|other| self.is_about_the_same_as(other));
        if let Some(other) = same.next() {
            self.value = self.value.min(other.value);
        }
    }

    fn is_about_the_same_as(&self, other: &Self) -> bool {
        (&self.target, self.unit, &self.workload, self.connections)
            == (&other.target, other.unit, &other.workload, other.connections)
    }
}

impl Baseline {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
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

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What's measured now takes the place of what was before; what isn't measured now stays, if it's of the same machine.
    pub(super) fn take(&mut self, machine: Machine, figures: Vec<Figure>) {
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

    /// How many figures of a target there are.
    pub(super) fn count(&self, target: Target) -> usize {
        let figures = self.figures.iter();
        figures.filter(|figure| figure.target == target.name()).count()
    }

    pub(super) fn find(&self, figure: &Figure) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|known| known.is_about_the_same_as(figure))
    }

    pub(super) fn is_worse(&self, machine: &Machine, figure: &Figure) -> bool {
        self.finding(machine, figure) == Finding::Regression
    }

    pub(super) fn finding(&self, machine: &Machine, figure: &Figure) -> Finding {
        let Some(known) = self.find(figure) else {
            return Finding::New;
        };
        // All that's checked is counted.
        let differs =
            tolerance::is_exceeded(figure.unit, &figure.workload, known.value, figure.value).unwrap_or(true);
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

    /// What makes instructions incomparable.
    pub(super) fn difference(&self, machine: &Machine) -> String {
        let differing = MACHINE
            .into_iter()
            .filter(|&name| machine.get(name) != self.machine.get(name));
        let say = |name: &str| {
            let value = |machine: &Machine| machine.get(name).map_or("unknown", String::as_str).to_owned();
            format!("{name} is {} and was {}", value(machine), value(&self.machine))
        };
        differing.map(say).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Baseline, Figure, Finding, Machine, Row, Target, Unit};
    use crate::bench::target::Allocator;

    pub(in crate::bench::check) fn figure(unit: Unit, value: f64) -> Figure {
        Figure {
            target: "tcp".to_owned(),
            unit,
            workload: "plaintext".to_owned(),
            connections: 8,
            value,
        }
    }

    pub(in crate::bench::check) fn machine(rustc: &str) -> Machine {
        Machine::from([("tool.rustc".to_owned(), rustc.to_owned())])
    }

    pub(in crate::bench::check) fn baseline() -> Baseline {
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
            (Unit::Instructions, 7130.0, Finding::Same),
            (Unit::Instructions, 7150.0, Finding::Regression),
            (Unit::Instructions, 6850.0, Finding::Better),
            (Unit::Syscalls, 2.31, Finding::Same),
            (Unit::Syscalls, 2.33, Finding::Regression),
            (Unit::Allocations, 2.01, Finding::Same),
            (Unit::Allocations, 3.0, Finding::Regression),
            (Unit::Kibibytes, 1.1, Finding::Same),
            (Unit::Kibibytes, 1.2, Finding::Regression),
            (Unit::Bytes, 1.0, Finding::New),
        ] {
            let found = baseline().finding(&machine("1"), &figure(unit, value));
            assert_eq!(found, expected, "{unit:?} {value}");
        }
    }

    #[test]
    fn a_disturbance_does_not_count() {
        let row =
            |unit| Row::new("", Target::Tcp, Allocator::Mimalloc, unit).of_runs(Ok(vec![2.0, 9.0, 1.0]));
        let value = |unit| Figure::of(&row(unit)).unwrap().value;
        assert_eq!((value(Unit::Kibibytes), value(Unit::Syscalls)), (1.0, 2.0));
    }

    #[test]
    fn of_two_looks_the_lower_one_counts() {
        let mut looked_at = figure(Unit::Syscalls, 2.5);
        looked_at.take_lower(&[figure(Unit::Instructions, 1.0), figure(Unit::Syscalls, 2.0)]);
        assert_eq!(looked_at.value, 2.0);
        looked_at.take_lower(&[figure(Unit::Syscalls, 2.4)]);
        assert_eq!(looked_at.value, 2.0);
        looked_at.take_lower(&[]);
        assert_eq!(looked_at.value, 2.0);
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
