//! How many of the ratios that two runs report agree: the measure of whether the bench repeats.

use super::pairs::Pair;

/// What two runs of the same commit on the same machine have to reach, in percent.
const GOAL: f64 = 90.0;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    /// That both report with an interval.
    ratios: usize,
    /// Their intervals overlap.
    overlapping: usize,
    /// Each median lies in the other's interval.
    strict: usize,
    /// That aren't the servers' in one of them.
    bound: usize,
}

impl Agreement {
    pub(super) fn of<'a>(pairs: impl IntoIterator<Item = &'a Pair<'a>>) -> Self {
        let mut agreement = Self::default();
        for Pair { a, b } in pairs {
            // The reference's own ratio is 1 in every run.
            if !a.unit.is_ratio() || a.is_reference() {
                continue;
            }
            let (Some(ours), Some(theirs), Some(here), Some(there)) =
                (a.value, b.value, a.interval, b.interval)
            else {
                continue;
            };
            if a.bound().or_else(|| b.bound()).is_some() {
                agreement.bound += 1;
                continue;
            }
            agreement.ratios += 1;
            agreement.overlapping += usize::from(here.low <= there.high && there.low <= here.high);
            let is_strict = here.contains(theirs) && there.contains(ours);
            agreement.strict += usize::from(is_strict);
        }
        agreement
    }

    pub(super) fn sentence(self) -> String {
        let Self {
            ratios,
            overlapping,
            strict,
            bound,
        } = self;
        let left_out = match bound {
            0 => String::new(),
            1 => " 1 ratio is left out, of rates that weren't the server's.".to_owned(),
            number => format!(" {number} ratios are left out, of rates that weren't the servers'."),
        };
        if ratios == 0 {
            return format!("Both runs report none of the same ratios with an interval.{left_out}");
        }
        let share = |number: usize| number as f64 / ratios as f64 * 100.0;
        let verdict = if share(overlapping) >= GOAL {
            "is reached"
        } else {
            "isn't reached"
        };
        format!(
            "{overlapping} of {ratios} ratios ({:.1} %) agree: their 95 % intervals overlap. {strict} ({:.1} %) agree strictly: each median \
            lies in the other's interval. The goal for two runs of one commit on one machine, {GOAL} % that agree, {verdict}.{left_out}",
            share(overlapping),
            share(strict)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Pair};
    use crate::bench::compare::pairs::tests::record;
    use crate::bench::report::{Interval, Mark, Unit};
    use crate::bench::results::Record;

    fn ratio(target: &str, low: f64, value: f64, high: f64) -> Record {
        Record {
            value: Some(value),
            interval: Some(Interval { low, high }),
            ..record(target, Unit::RateRatio)
        }
    }

    #[test]
    fn ratios_agree_where_their_intervals_overlap() {
        let a = ratio("tcp", 0.9, 1.0, 1.1);
        let bound = Record {
            mark: Some(Mark::ClientBound),
            ..a.clone()
        };
        let reference = ratio("hyper", 1.0, 1.0, 1.0);
        let rate = Record {
            unit: Unit::RequestsPerSecond,
            ..a.clone()
        };
        let (strict, overlapping, apart) = (
            ratio("tcp", 0.95, 1.05, 1.2),
            ratio("tcp", 1.05, 1.15, 1.2),
            ratio("tcp", 1.11, 1.15, 1.2),
        );
        let pair = |b| Pair { a: &a, b };
        let pairs = [
            pair(&strict),
            pair(&overlapping),
            pair(&apart),
            pair(&bound),
            Pair {
                a: &reference,
                b: &reference,
            },
            Pair { a: &rate, b: &rate },
        ];
        let agreement = Agreement::of(&pairs);
        let expected = Agreement {
            ratios: 3,
            overlapping: 2,
            strict: 1,
            bound: 1,
        };
        assert_eq!(agreement, expected);
        let sentence = agreement.sentence();
        assert!(sentence.starts_with("2 of 3 ratios (66.7 %) agree"), "{sentence}");
        assert!(
            sentence.contains("1 (33.3 %) agree strictly")
                && sentence.contains("isn't reached. 1 ratio is left out"),
            "{sentence}"
        );
        assert!(Agreement::of(&pairs[..2]).sentence().ends_with("is reached."));
    }

    #[test]
    fn no_ratios_are_no_agreement() {
        let sentence = Agreement::of(&[]).sentence();
        assert_eq!(
            sentence,
            "Both runs report none of the same ratios with an interval."
        );
    }
}
