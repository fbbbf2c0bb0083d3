//! Whether two values of one thing differ by more than noise.

use crate::bench::report::{Mark, Span};
use crate::bench::results::Record;
use crate::bench::tolerance;

/// From A to B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Better,
    Worse,
    /// No more than two runs of the same thing differ.
    Noise,
    /// There's no interval, and no tolerance either.
    Unknown,
    /// One of them isn't the server's.
    Bound(Mark),
    /// It's the machine's as much as the server's, and that is never the same twice.
    Machine,
}

impl Change {
    /// Nothing if one of them has no value.
    pub(super) fn of(a: &Record, b: &Record) -> Option<Self> {
        let (before, after) = (a.value?, b.value?);
        if let Some(mark) = a.bound().or_else(|| b.bound()) {
            return Some(Self::Bound(mark));
        }
        let differs = match (
            tolerance::is_exceeded(a.unit, &a.workload, before, after),
            a.interval,
            b.interval,
        ) {
            (Some(is_exceeded), ..) => is_exceeded && are_apart(a, b),
            (None, Some(_), Some(_)) if !a.unit.is_ratio() => return Some(Self::Machine),
            (None, Some(a), Some(b)) => a.high < b.low || b.high < a.low,
            (None, ..) => return Some(Self::Unknown),
        };
        Some(match (differs, (after > before) == a.unit.is_rate()) {
            (false, _) => Self::Noise,
            (true, true) => Self::Better,
            (true, false) => Self::Worse,
        })
    }

    pub(super) fn is_more_than_noise(self) -> bool {
        matches!(self, Self::Better | Self::Worse)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Noise => "",
            Self::Unknown => "?",
            Self::Bound(mark) => mark.label(),
            Self::Machine => "",
        }
    }
}

/// Whether no run of one brought what one of the other did. A single run is a span by itself.
fn are_apart(a: &Record, b: &Record) -> bool {
    let end = |record: &Record, end: fn(Span) -> f64| record.span.map(end).or(record.value);
    let is_below = |a, b| end(a, |span| span.highest) < end(b, |span| span.lowest);
    is_below(a, b) || is_below(b, a)
}

/// In percent; nothing if there's no value, or none to compare with.
pub(super) fn percent(a: &Record, b: &Record) -> Option<f64> {
    let change = (b.value? / a.value? - 1.0) * 100.0;
    change.is_finite().then_some(change)
}

#[cfg(test)]
mod tests {
    use super::{Change, Mark, Span};
    use crate::bench::compare::pairs::tests::record;
    use crate::bench::report::{Interval, Unit};
    use crate::bench::results::Record;

    fn in_rounds(unit: Unit, low: f64, high: f64) -> Record {
        Record {
            value: Some(f64::midpoint(low, high)),
            interval: Some(Interval { low, high }),
            ..record("tcp", unit)
        }
    }

    fn counted(unit: Unit, value: f64) -> Record {
        Record {
            value: Some(value),
            ..record("tcp", unit)
        }
    }

    #[test]
    fn intervals_that_share_a_value_are_noise() {
        for (unit, b, expected) in [
            (Unit::Ratio, (1.0, 1.1), Change::Noise),
            (Unit::Ratio, (1.1, 1.2), Change::Noise),
            (Unit::Ratio, (1.11, 1.2), Change::Worse),
            (Unit::Ratio, (0.8, 0.99), Change::Better),
            (Unit::RateRatio, (1.11, 1.2), Change::Better),
            (Unit::RateRatio, (0.8, 0.99), Change::Worse),
        ] {
            let change = Change::of(&in_rounds(unit, 1.0, 1.1), &in_rounds(unit, b.0, b.1));
            assert_eq!(change, Some(expected), "{unit:?} {b:?}");
        }
    }

    #[test]
    fn counts_have_a_tolerance_instead_of_an_interval() {
        for (after, expected) in [(2.3, Change::Noise), (2.4, Change::Worse), (1.6, Change::Better)] {
            let change = Change::of(&counted(Unit::Syscalls, 2.0), &counted(Unit::Syscalls, after));
            assert_eq!(change, Some(expected), "{after}");
        }
    }

    #[test]
    fn counts_whose_spans_overlap_are_noise() {
        let spanned = |value, lowest, highest| Record {
            span: Some(Span { lowest, highest }),
            ..counted(Unit::Syscalls, value)
        };
        let single = |value| counted(Unit::Syscalls, value);
        for (a, b, expected) in [
            (spanned(2.0, 1.9, 2.1), spanned(2.4, 2.1, 2.5), Change::Noise),
            (spanned(2.0, 1.9, 2.1), spanned(2.4, 2.3, 2.5), Change::Worse),
            (spanned(2.4, 2.3, 2.5), spanned(2.0, 1.9, 2.1), Change::Better),
            (spanned(2.0, 2.0, 2.0), spanned(2.05, 2.05, 2.05), Change::Noise),
            // A run of an older format has no span.
            (single(2.0), spanned(2.4, 2.0, 2.5), Change::Noise),
            (single(2.0), spanned(2.4, 2.3, 2.5), Change::Worse),
        ] {
            assert_eq!(Change::of(&a, &b), Some(expected), "{a:?} {b:?}");
        }
    }

    #[test]
    fn what_nobody_can_know_is_not_guessed() {
        let known = in_rounds(Unit::P99, 1.0, 1.1);
        assert_eq!(
            Change::of(&known, &counted(Unit::P99, 9.0)),
            Some(Change::Unknown)
        );
        assert_eq!(Change::of(&known, &record("tcp", Unit::P99)), None);
        let bound = Record {
            mark: Some(Mark::ClientBound),
            ..in_rounds(Unit::RateRatio, 2.0, 3.0)
        };
        assert_eq!(
            Change::of(&in_rounds(Unit::RateRatio, 1.0, 1.1), &bound),
            Some(Change::Bound(Mark::ClientBound))
        );
    }
}
