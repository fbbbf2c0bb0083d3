//! The table at the end of a run, which is the part that people read.

use std::fmt::Write as _;
use std::time::Duration;

/// The result of one step.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) step: String,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    /// It could not run to its end here. Its line above the table says why.
    Ignored,
    Failed,
}

/// One line for each step: its name, its result, its seconds.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes
        .iter()
        .map(|outcome| outcome.step.len())
        .fold("step".len(), usize::max);
    let mut table = format!("{:width$}  result   seconds\n", "step");
    for Outcome {
        step,
        verdict,
        took,
    } in outcomes
    {
        let result = match verdict {
            Verdict::Passed => "ok",
            Verdict::Ignored => "ignored",
            Verdict::Failed => "FAILED",
        };
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            table,
            "{step:width$}  {result:7}  {:7.1}",
            took.as_secs_f64()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Verdict, table};
    use std::time::Duration;

    #[test]
    fn the_columns_line_up() {
        let outcome = |step: &str, verdict, millis| Outcome {
            step: step.to_owned(),
            verdict,
            took: Duration::from_millis(millis),
        };
        let expected = "\
step      result   seconds
fmt       ok           0.6
deny      ignored      0.1
features  FAILED     123.4
";
        assert_eq!(
            table(&[
                outcome("fmt", Verdict::Passed, 600),
                outcome("deny", Verdict::Ignored, 60),
                outcome("features", Verdict::Failed, 123_400)
            ]),
            expected
        );
    }
}
