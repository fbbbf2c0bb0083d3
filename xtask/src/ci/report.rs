//! The table at the end of a run, which is the part that people read.

use std::fmt::Write as _;
use std::time::Duration;

/// The result of one step.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) step: String,
    pub(super) passed: bool,
    pub(super) took: Duration,
}

/// One line for each step: its name, its result, its seconds.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let width = outcomes
        .iter()
        .map(|outcome| outcome.step.len())
        .fold("step".len(), usize::max);
    let mut table = format!("{:width$}  result  seconds\n", "step");
    for Outcome { step, passed, took } in outcomes {
        let result = if *passed { "ok" } else { "FAILED" };
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            table,
            "{step:width$}  {result:6}  {:7.1}",
            took.as_secs_f64()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Outcome, table};
    use std::time::Duration;

    #[test]
    fn the_columns_line_up() {
        let outcome = |step: &str, passed, millis| Outcome {
            step: step.to_owned(),
            passed,
            took: Duration::from_millis(millis),
        };
        let expected = "\
step      result  seconds
fmt       ok          0.6
features  FAILED    123.4
";
        assert_eq!(
            table(&[
                outcome("fmt", true, 600),
                outcome("features", false, 123_400)
            ]),
            expected
        );
    }
}
