//! What's said of the figures of now beside the committed ones, and whether that's good.

use super::baseline::{Baseline, Figure, Finding, Machine};
use crate::bench::text::{grouped, per, wrap};

/// Where to look if something became worse.
const ADVICE: &str = "If that's what the change is for, take it down: `cargo xtask bench --check --update`. Else `callgrind_annotate \
                      target/bench/instructions-TARGET-8-6000.out` shows where the instructions went.";

#[derive(Debug, Default)]
pub(super) struct Comparison {
    table: String,
    hold: usize,
    better: usize,
    worse: usize,
    new: usize,
    failed: usize,
    /// How many of what weren't compared, and why.
    left_out: Vec<(usize, String)>,
}

impl Comparison {
    pub(super) fn of(baseline: &Baseline, machine: &Machine, figures: &[Figure]) -> Self {
        let mut comparison = Self::default();
        let mut incomparable = 0;
        for figure in figures {
            let (count, verdict) = match baseline.finding(machine, figure) {
                Finding::Same => (&mut comparison.hold, "as before"),
                Finding::Better => (&mut comparison.better, "better: take it down by --update"),
                Finding::Regression => (&mut comparison.worse, "WORSE"),
                Finding::New => (&mut comparison.new, "new: take it down by --update"),
                Finding::Incomparable => (&mut incomparable, "of another machine"),
            };
            *count += 1;
            let number = |value| grouped(value, figure.unit.decimals());
            let before = baseline
                .find(figure)
                .map_or_else(|| "unknown".to_owned(), |known| number(known.value));
            comparison.table += &format!(
                "{:16} {:10} {:>6} {:24} {:>10} -> {:>8}  {verdict}\n",
                figure.target,
                figure.workload,
                figure.connections,
                per(&figure.workload, figure.unit.label()),
                before,
                number(figure.value),
            );
        }
        let why = format!("of instructions, since {}", baseline.difference(machine));
        if incomparable > 0 {
            comparison.leave_out(incomparable, why);
        }
        comparison
    }

    /// None, too, are told: where the baseline has nothing of a target, nothing holds.
    pub(super) fn leave_out(&mut self, count: usize, why: String) {
        self.left_out.push((count, why));
    }

    /// Something that should have a value and has none.
    pub(super) fn fail(&mut self, why: &str) {
        self.failed += 1;
        self.table += &format!("{}\n", wrap(why));
    }

    /// Whether nothing has become worse, of what there is to compare.
    pub(super) fn is_good(&self) -> bool {
        self.worse + self.new + self.failed == 0 && self.compared() > 0
    }

    fn compared(&self) -> usize {
        self.hold + self.better + self.worse
    }

    /// A line for each figure, then what to do, then what it comes to: nobody has to read more than the end.
    pub(super) fn text(&self) -> String {
        let mut text = self.table.clone();
        if self.worse + self.new > 0 {
            text += &format!("\n{}\n", wrap(ADVICE));
        }
        text + &format!("\n{}\n", wrap(&self.sum()))
    }

    fn sum(&self) -> String {
        let mut parts = match (self.compared(), self.hold) {
            (0, _) => vec!["Nothing could be compared".to_owned()],
            (_, 1) => vec!["1 figure holds".to_owned()],
            (_, hold) => vec![format!("{hold} figures hold")],
        };
        for (count, what) in [
            (self.worse, "became worse"),
            (self.better, "became better"),
            (self.new, "not known to the baseline"),
            (self.failed, "could not be measured"),
        ] {
            parts.extend((count > 0).then(|| format!("{count} {what}")));
        }
        let left_out: usize = self.left_out.iter().map(|(count, _)| count).sum();
        if !self.left_out.is_empty() {
            let whys = self.left_out.iter().map(|(count, why)| format!("{count} {why}"));
            let whys = whys.collect::<Vec<_>>().join(", ");
            parts.push(format!("{left_out} NOT COMPARED: {whys}"));
        }
        parts.join("; ") + "."
    }
}

#[cfg(test)]
mod tests {
    use super::Comparison;
    use crate::bench::check::baseline::tests::{baseline, figure, machine};
    use crate::bench::report::Unit;

    fn sum(comparison: &Comparison) -> String {
        comparison
            .text()
            .trim_end()
            .rsplit("\n\n")
            .next()
            .unwrap()
            .replace('\n', " ")
    }

    #[test]
    fn what_is_as_before_is_good() {
        let comparison = Comparison::of(&baseline(), &machine("1"), &[figure(Unit::Syscalls, 2.0)]);
        assert!(comparison.is_good());
        assert_eq!(sum(&comparison), "1 figure holds.");
    }

    #[test]
    fn what_became_worse_is_no_good_whatever_else_holds() {
        let figures = [
            figure(Unit::Syscalls, 3.02),
            figure(Unit::Allocations, 2.0),
            figure(Unit::Kibibytes, 0.1),
        ];
        let comparison = Comparison::of(&baseline(), &machine("1"), &figures);
        assert!(!comparison.is_good());
        assert!(comparison.text().contains("WORSE"), "{comparison:?}");
        assert_eq!(
            sum(&comparison),
            "1 figure holds; 1 became worse; 1 became better."
        );
    }

    #[test]
    fn another_compiler_makes_instructions_incomparable_and_nothing_else() {
        let instructions = figure(Unit::Instructions, 9000.0);
        let figures = [instructions.clone(), figure(Unit::Allocations, 2.0)];
        let comparison = Comparison::of(&baseline(), &machine("2"), &figures);
        assert!(comparison.is_good());
        let loud = "1 figure holds; 1 NOT COMPARED: 1 of instructions, since tool.rustc is 2 and was 1.";
        assert_eq!(sum(&comparison), loud);
        let worse = Comparison::of(&baseline(), &machine("2"), &[figure(Unit::Allocations, 3.0)]);
        assert!(!worse.is_good());
        let alone = Comparison::of(&baseline(), &machine("2"), &[instructions]);
        assert!(!alone.is_good());
        assert!(
            sum(&alone).starts_with("Nothing could be compared; 1 NOT COMPARED: "),
            "{alone:?}"
        );
    }

    #[test]
    fn what_is_left_out_is_no_failure_while_something_is_compared() {
        let mut comparison = Comparison::of(&baseline(), &machine("1"), &[figure(Unit::Syscalls, 2.0)]);
        comparison.leave_out(8, "of monoio, since io_uring is refused".to_owned());
        assert!(comparison.is_good());
        assert_eq!(
            sum(&comparison),
            "1 figure holds; 8 NOT COMPARED: 8 of monoio, since io_uring is refused."
        );
        let mut nothing = Comparison::of(&baseline(), &machine("1"), &[]);
        nothing.leave_out(8, "of monoio, since io_uring is refused".to_owned());
        assert!(!nothing.is_good());
    }

    #[test]
    fn what_has_no_value_or_is_unknown_is_no_good() {
        let mut failed = Comparison::of(&baseline(), &machine("1"), &[figure(Unit::Syscalls, 2.0)]);
        failed.fail("tcp: allocations/request: not measured: it died");
        assert!(!failed.is_good());
        assert!(failed.text().contains("it died"), "{failed:?}");
        assert_eq!(sum(&failed), "1 figure holds; 1 could not be measured.");
        let new = Comparison::of(
            &baseline(),
            &machine("1"),
            &[figure(Unit::Syscalls, 2.0), figure(Unit::Bytes, 1.0)],
        );
        assert!(!new.is_good());
        assert_eq!(sum(&new), "1 figure holds; 1 not known to the baseline.");
    }
}
