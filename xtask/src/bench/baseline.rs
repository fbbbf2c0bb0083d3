//! Figures that are committed, and how those of now stand to them.

use super::row::write;
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const ADVICE: &str = "If the change is meant to cost that, commit to it: `cargo xtask bench --check --update`. \
    Otherwise `callgrind_annotate target/bench/instructions-TARGET-300.out` shows where the instructions went.";

/// By how many tolerances a figure is worse that no noise makes so.
const CLEAR: f64 = 3.0;

/// What is committed: figures by target, workload and unit, separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// What instructions depend on beside the code.
    rustc: String,
    figures: Figures,
}

pub(super) type Figures = BTreeMap<String, f64>;

/// How a figure stands to the committed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Same,
    Better,
    Worse,
    /// Another compiler makes other instructions.
    Incomparable,
    New,
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
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
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

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write(path, &(serde_json::to_string_pretty(self)? + "\n"))
    }

    /// What is measured now takes the place of what was before; the rest stays, if it is of the
    /// same compiler.
    pub(super) fn take(&mut self, rustc: String, figures: Figures) {
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

    /// What became worse by so little that it may be noise.
    pub(super) fn doubtful(&self, rustc: &str, figures: &Figures) -> Vec<String> {
        let is_doubtful = |&(name, &value): &(&String, &f64)| {
            let known = self.figures.get(name).copied().unwrap_or_default();
            self.finding(rustc, name, value) == Finding::Worse
                && value - known <= CLEAR * tolerance(name, known)
        };
        let doubtful = figures.iter().filter(is_doubtful);
        doubtful.map(|(name, _)| name.clone()).collect()
    }
}

/// A line for each figure, then what to do, then what it comes to; and whether that is good.
pub(super) fn report(
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
        let instructions = "tcp instructions instructions";
        let finding = |name| baseline().finding("2", name, 20_000.0);
        assert_eq!(finding(instructions), Finding::Incomparable);
        assert_eq!(finding("tcp instructions allocations"), Finding::Worse);
    }

    #[test]
    fn only_what_may_be_noise_is_measured_again() {
        let doubtful = |value| {
            let figures = [("tcp syscalls syscalls".to_owned(), value)].into();
            baseline().doubtful("1", &figures).len()
        };
        assert_eq!([2.3, 2.4, 3.02].map(doubtful), [0, 1, 0]);
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
