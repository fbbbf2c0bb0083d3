//! By how much a counted value may differ from run to run without meaning anything: for `compare` and `--check` alike.

use super::report::Unit;
use anyport_bench_child::Workload;

/// A difference that's as large as the tolerance may be stored as a little larger.
const ROUNDING: f64 = 1e-9;

/// What [`of`] says, for a reader.
pub(super) const IN_WORDS: &str = "instructions 2 %, bytes 3 %, syscalls 0.2 and 5 %, allocations 0.05, memory 2 % and at least 0.3 KiB, of uploads instructions at least 5,000, syscalls 1 and 20 %";

/// Whether `after` differs from `before` by more; nothing for what's measured in rounds, which has intervals instead.
pub(super) fn is_exceeded(unit: Unit, workload: &str, before: f64, after: f64) -> Option<bool> {
    let difference = (after - before).abs();
    let tolerance = of(unit, workload, before)?;
    Some(difference > tolerance + ROUNDING * before.abs().max(1.0))
}

/// In the value's own unit.
fn of(unit: Unit, workload: &str, value: f64) -> Option<f64> {
    let value = value.abs();
    let is_upload = workload == Workload::Upload1M.name();
    match unit {
        // How many reads an upload takes depends on when the load is let run.
        Unit::Instructions if is_upload => Some((0.02 * value).max(5_000.0)),
        Unit::Syscalls if is_upload => Some(1.0 + 0.2 * value),
        // They repeat to within a percent; with ten others that want the same two cores, to within two.
        Unit::Instructions => Some(0.02 * value),
        // A connection that's put to sleep meanwhile has its buffers made anew.
        Unit::Bytes => Some(0.03 * value),
        // Wake-ups are shared as the machine's other work lets them be. One more for each request is far beyond it.
        Unit::Syscalls => Some(0.2 + 0.05 * value),
        // A connection that is put to sleep on a busy machine has some more.
        Unit::Allocations => Some(0.05),
        // What allocators keep of a burst differs from run to run, most on monoio (1.45 to 1.69 KiB). 400 bytes more are beyond it.
        Unit::Kibibytes => Some((0.02 * value).max(0.3)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Unit, is_exceeded};

    const PLAINTEXT: &str = "plaintext";

    #[test]
    fn counts_have_a_tolerance() {
        for (unit, before, same, other) in [
            (Unit::Instructions, 1000.0, 1020.0, 1021.0),
            (Unit::Bytes, 1000.0, 970.0, 969.0),
            (Unit::Syscalls, 2.0, 2.3, 2.31),
            (Unit::Syscalls, 0.02, 0.22, 0.23),
            (Unit::Allocations, 4.0, 4.05, 4.06),
            (Unit::Kibibytes, 20.0, 19.6, 19.5),
            (Unit::Kibibytes, 0.85, 1.15, 0.85 + 400.0 / 1024.0),
        ] {
            assert_eq!(
                is_exceeded(unit, PLAINTEXT, before, same),
                Some(false),
                "{unit:?}"
            );
            assert_eq!(
                is_exceeded(unit, PLAINTEXT, before, other),
                Some(true),
                "{unit:?}"
            );
        }
    }

    #[test]
    fn reads_of_an_upload_are_not_as_many_each_time() {
        for (unit, before, same, other) in [
            (Unit::Instructions, 20_000.0, 25_000.0, 25_001.0),
            (Unit::Instructions, 5_000_000.0, 5_100_000.0, 5_100_001.0),
            (Unit::Syscalls, 20.0, 25.0, 25.1),
        ] {
            let is_exceeded = |after| is_exceeded(unit, "upload-1m", before, after);
            assert_eq!(is_exceeded(same), Some(false), "{unit:?}");
            assert_eq!(is_exceeded(other), Some(true), "{unit:?}");
        }
    }

    #[test]
    fn what_is_measured_in_rounds_has_none() {
        for unit in [Unit::Ratio, Unit::RequestsPerSecond, Unit::P99] {
            assert_eq!(is_exceeded(unit, PLAINTEXT, 1.0, 9.0), None, "{unit:?}");
        }
    }
}
