//! By how much a counted value may differ from run to run without meaning anything: for `compare` and `--check` alike.

use super::report::Unit;

/// A difference that's as large as the tolerance may be stored as a little larger.
const ROUNDING: f64 = 1e-9;

/// What [`of`] says, for a reader.
pub(super) const IN_WORDS: &str =
    "instructions and bytes 1 %, syscalls 0.1, allocations 0.02, memory 5 % and at least 0.5 KiB";

/// Whether `after` differs from `before` by more; nothing for what's measured in rounds, which has intervals instead.
pub(super) fn is_exceeded(unit: Unit, before: f64, after: f64) -> Option<bool> {
    let difference = (after - before).abs();
    Some(difference > of(unit, before)? + ROUNDING * before.abs().max(1.0))
}

/// In the value's own unit.
fn of(unit: Unit, value: f64) -> Option<f64> {
    let value = value.abs();
    match unit {
        // They repeat to within a percent.
        Unit::Instructions | Unit::Bytes => Some(0.01 * value),
        // Wake-ups are shared as the machine's other work lets them be.
        Unit::Syscalls => Some(0.1),
        // They repeat to the second decimal.
        Unit::Allocations => Some(0.02),
        // What allocators keep differs from run to run; a buffer that stays is KiB.
        Unit::Kibibytes => Some((0.05 * value).max(0.5)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, is_exceeded};

    #[test]
    fn counts_have_a_tolerance() {
        for (unit, before, same, other) in [
            (Unit::Instructions, 1000.0, 1010.0, 1011.0),
            (Unit::Bytes, 1000.0, 990.0, 989.0),
            (Unit::Syscalls, 2.0, 2.1, 2.11),
            (Unit::Allocations, 4.0, 4.02, 4.03),
            (Unit::Kibibytes, 20.0, 19.0, 18.9),
            (Unit::Kibibytes, 0.85, 1.35, 1.36),
        ] {
            assert_eq!(is_exceeded(unit, before, same), Some(false), "{unit:?}");
            assert_eq!(is_exceeded(unit, before, other), Some(true), "{unit:?}");
        }
    }

    #[test]
    fn what_is_measured_in_rounds_has_none() {
        for unit in [Unit::Ratio, Unit::RequestsPerSecond, Unit::P99] {
            assert_eq!(is_exceeded(unit, 1.0, 9.0), None, "{unit:?}");
        }
    }
}
