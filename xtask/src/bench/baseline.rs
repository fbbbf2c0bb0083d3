//! The committed figures, and how others compare with them.

use super::row::write;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const UPDATE: &str = "`cargo xtask bench --check --update`";
const ADVICE: &str = "If the change is meant to cost that, commit the new figures: `cargo xtask \
    bench --check --update`. Otherwise `callgrind_annotate \
    target/bench/instructions-TARGET-300.out` shows which functions have the instructions, and \
    their lines after a build with CARGO_PROFILE_MEASURE_DEBUG=line-tables-only.";

/// A figure that is worse by more tolerances is not measured again: noise is smaller.
const CLEAR: f64 = 3.0;

/// Figures by target, workload and unit, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// The compiler, on which instructions depend.
    rustc: String,
    figures: Figures,
}

pub(super) type Figures = BTreeMap<String, f64>;

/// How a figure compares with the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Same,
    Better,
    Worse,
    /// Counts of instructions of another compiler.
    Incomparable,
    New,
}

/// The difference that means nothing, in the figure's unit.
fn tolerance(name: &str, value: f64) -> f64 {
    let is_upload = name.contains("-upload ");
    match name.rsplit(' ').next().unwrap_or_default() {
        // The size of reads depends on timing.
        "instructions" if is_upload => 0.25 * value,
        "allocations" if is_upload => 16.0 + 0.25 * value,
        "syscalls" if is_upload => 16.0 + 0.5 * value,
        // On a busy machine, they repeat within 2 %.
        "instructions" => 0.02 * value,
        // Hibernating on a busy machine costs some.
        "allocations" => 0.1,
        // How many requests share a wake-up depends on timing.
        "syscalls" => 0.2 + 0.05 * value,
        // What an allocator keeps differs from run to run.
        _ => (0.1 * value).max(1.0),
    }
}

impl Baseline {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file = path.display();
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read {file}; {UPDATE} makes it"))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{file} is no baseline; remove it, and {UPDATE} makes a new one")
        })
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, &(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// Replaces these figures. Others stay, unless the compiler is another one.
    pub(super) fn update(&mut self, rustc: String, figures: Figures) {
        if self.rustc != rustc {
            *self = Self {
                rustc,
                ..Self::default()
            };
        }
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        let rounded = figures
            .into_iter()
            .map(|(name, value)| (name, round(value)));
        self.figures.extend(rounded);
    }

    fn compare(&self, rustc: &str, name: &str, value: f64) -> Comparison {
        let Some(&known) = self.figures.get(name) else {
            return Comparison::New;
        };
        let difference = value - known;
        if name.ends_with(" instructions") && self.rustc != rustc {
            Comparison::Incomparable
        } else if difference.abs() <= tolerance(name, known) {
            Comparison::Same
        } else if difference > 0.0 {
            Comparison::Worse
        } else {
            Comparison::Better
        }
    }

    /// Figures that became worse by so little that it may be noise.
    pub(super) fn doubtful(&self, rustc: &str, figures: &Figures) -> Vec<String> {
        let is_doubtful = |&(name, &value): &(&String, &f64)| {
            let known = self.figures.get(name).copied().unwrap_or_default();
            self.compare(rustc, name, value) == Comparison::Worse
                && value - known <= CLEAR * tolerance(name, known)
        };
        let doubtful = figures.iter().filter(is_doubtful);
        doubtful.map(|(name, _)| name.clone()).collect()
    }
}

/// A line for each figure, what to do, and a summary; and whether the check passed.
pub(super) fn report(
    baseline: &Baseline,
    rustc: &str,
    figures: &Figures,
    failures: &[String],
) -> (String, bool) {
    let (mut text, mut compared, mut is_good) = (String::new(), 0, failures.is_empty());
    for (name, &value) in figures {
        let comparison = baseline.compare(rustc, name, value);
        compared += usize::from(comparison != Comparison::Incomparable);
        is_good &= !matches!(comparison, Comparison::Worse | Comparison::New);
        let verdict = match comparison {
            Comparison::Same => "as before",
            Comparison::Better => "better: commit it with --update",
            Comparison::Worse => "WORSE",
            Comparison::New => "new: commit it with --update",
            Comparison::Incomparable => "of another compiler",
        };
        let before = baseline.figures.get(name);
        let before = before.map_or_else(|| "unknown".to_owned(), |known| format!("{known:.2}"));
        text += &format!("{name:48} {before:>12} -> {value:>12.2}  {verdict}\n");
    }
    for failure in failures {
        text += &format!("not measured: {failure}\n");
    }
    if text.contains("WORSE") {
        text += &format!("\n{ADVICE}\n");
    }
    text += &match compared {
        0 => "\nnothing could be compared\n".to_owned(),
        _ => format!("\n{compared} figures were compared\n"),
    };
    (text, is_good && compared > 0)
}

#[cfg(test)]
mod tests {
    use super::{Baseline, Comparison, Figures, report};

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
    fn each_figure_has_a_tolerance() {
        for (name, same, worse) in [
            ("tcp instructions instructions", 7130.0, 7150.0),
            ("tcp instructions allocations", 2.09, 3.0),
            ("tcp syscalls syscalls", 2.31, 3.02),
            ("tcp syscalls-upload syscalls", 200.0, 8_000.0),
            ("tcp idle kept", 1.4, 8.85),
        ] {
            let compare = |value| baseline().compare("1", name, value);
            assert_eq!(compare(same), Comparison::Same, "{name}");
            assert_eq!(compare(worse), Comparison::Worse, "{name}");
            assert_eq!(compare(-9.0), Comparison::Better, "{name}");
        }
        let new = baseline().compare("1", "tcp idle fresh", 1.0);
        assert_eq!(new, Comparison::New);
    }

    #[test]
    fn another_compiler_makes_only_instructions_incomparable() {
        let instructions = "tcp instructions instructions";
        let compare = |name| baseline().compare("2", name, 20_000.0);
        assert_eq!(compare(instructions), Comparison::Incomparable);
        assert_eq!(compare("tcp instructions allocations"), Comparison::Worse);
    }

    #[test]
    fn only_possible_noise_is_measured_again() {
        let doubtful = |value| {
            let figures = [("tcp syscalls syscalls".to_owned(), value)].into();
            baseline().doubtful("1", &figures).len()
        };
        assert_eq!([2.3, 2.4, 3.02].map(doubtful), [0, 1, 0]);
    }

    #[test]
    fn check_needs_all_figures() {
        let is_good =
            |figures: &Figures, failures: &[String]| report(&baseline(), "1", figures, failures).1;
        let figures = baseline().figures;
        assert!(is_good(&figures, &[]));
        assert!(!is_good(&figures, &["tcp: it ended".to_owned()]));
        assert!(!is_good(&Figures::new(), &[]));
    }

    #[test]
    fn update_keeps_other_figures_of_the_same_compiler() {
        let mut updated = baseline();
        updated.update("1".to_owned(), [("tcp idle kept".to_owned(), 1.0)].into());
        assert_eq!(
            (updated.figures.len(), updated.figures["tcp idle kept"]),
            (5, 1.0)
        );
        updated.update("2".to_owned(), [("tcp idle kept".to_owned(), 1.0)].into());
        assert_eq!(updated.figures.len(), 1);
    }
}
