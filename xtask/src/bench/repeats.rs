//! What's counted is counted several times: in turns, so that whatever else the machine does meets all alike.

use super::report::{Row, Span};
use super::statistics::{deviation, median};
use anyport_bench_load::Interrupted;
use std::num::NonZeroUsize;

/// What the runs of a subject brought, in their order; or why there's nothing to be told of it.
pub(super) type Runs<T> = Result<Vec<T>, String>;

/// Measures all subjects once, then all of them again, and so on. Whoever fails isn't tried again, and has no value. The flag says whether it was interrupted: those
/// that had a run by then are among the subjects still.
pub(super) fn measure<S: Copy, T>(
    subjects: &[S],
    repeats: NonZeroUsize,
    mut once: impl FnMut(S) -> anyhow::Result<T>,
) -> (Vec<(S, Runs<T>)>, bool) {
    let mut all: Vec<(S, Runs<T>)> = subjects
        .iter()
        .map(|&subject| (subject, Ok(Vec::new())))
        .collect();
    let mut is_interrupted = false;
    'all: for _ in 0..repeats.get() {
        for (subject, runs) in &mut all {
            let Ok(known) = runs else { continue };
            match once(*subject) {
                Ok(run) => known.push(run),
                Err(error) if error.is::<Interrupted>() => {
                    is_interrupted = true;
                    break 'all;
                }
                Err(error) => *runs = Err(format!("{error:#}")),
            }
        }
    }
    all.retain(|(_, runs)| runs.as_ref().map_or(true, |runs| !runs.is_empty()));
    (all, is_interrupted)
}

/// For the lines above a table.
pub(super) fn in_words(repeats: NonZeroUsize) -> String {
    match repeats.get() {
        1 => "a single run".to_owned(),
        repeats => format!("medians of {repeats} runs, and their span from the lowest to the highest"),
    }
}

impl Row {
    /// With the median of these values, and how far they're apart.
    pub(super) fn of_runs(self, values: Runs<f64>) -> Self {
        match values {
            Ok(values) => Self {
                value: median(&values),
                sigma: deviation(&values),
                span: Span::of(&values),
                rounds: values,
                ..self
            },
            Err(reason) => Self {
                reason: Some(reason),
                ..self
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Interrupted, NonZeroUsize, measure};

    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    #[test]
    fn each_has_its_turn_before_one_has_another() {
        let mut order = String::new();
        let (all, is_interrupted) = measure(&['a', 'b'], THREE, |subject| {
            order.push(subject);
            Ok(order.len())
        });
        assert_eq!(order, "ababab");
        assert_eq!(all, [('a', Ok(vec![1, 3, 5])), ('b', Ok(vec![2, 4, 6]))]);
        assert!(!is_interrupted);
    }

    #[test]
    fn who_fails_once_has_no_value_and_is_left_alone() {
        let mut order = String::new();
        let (all, _) = measure(&['a', 'b'], THREE, |subject| {
            order.push(subject);
            anyhow::ensure!(order != "aba", "it died");
            Ok(())
        });
        assert_eq!(order, "ababb");
        assert_eq!(all, [('a', Err("it died".to_owned())), ('b', Ok(vec![(); 3]))]);
    }

    #[test]
    fn what_was_measured_before_ctrl_c_is_told() {
        let mut left = 3;
        let (all, is_interrupted) = measure(&['a', 'b'], THREE, |_| {
            left -= 1;
            anyhow::ensure!(left > 0, Interrupted);
            Ok(left)
        });
        assert_eq!(all, [('a', Ok(vec![2])), ('b', Ok(vec![1]))]);
        assert!(is_interrupted);
        let (all, _) = measure(&['a', 'b'], THREE, |subject| match subject {
            'a' => Ok(()),
            _ => Err(Interrupted.into()),
        });
        assert_eq!(all, [('a', Ok(vec![()]))]);
    }
}
