//! From windows to rows: medians, ratios of the same round, and how sure they are.

use super::row::{Figure, Row, Unit, rounded};
use super::statistics::{FEWEST, MISSES, interval_of_median, median};
use super::target::Target;
use super::timed::{Window, Windows};
use super::workload::{Kind, Scenario};
use std::collections::BTreeMap;

/// With as many quiet rounds the disturbed ones are left out.
const ENOUGH: usize = FEWEST;
/// A server that has as much to do is what limits the rate.
const SATURATED: f64 = 0.95;
/// A load that has as much to do can't do more.
const BUSY: f64 = 0.9;

/// A row without figures, still.
pub(super) fn empty(target: &Target, scenario: &Scenario) -> Row {
    Row {
        target: target.name.clone(),
        reference: target.reference.clone(),
        peer: target.peer,
        workload: scenario.name.to_owned(),
        connections: scenario.connections,
        rounds: 0,
        disturbed: 0,
        mark: None,
        reason: None,
        figures: BTreeMap::new(),
    }
}

/// What several values come to: the median, and where it lies. Fewer than six tell only their span,
/// which has the median in it with a probability of 94 % for five of them.
pub(super) fn figure(values: &[f64]) -> Option<Figure> {
    let ends = interval_of_median(values, MISSES).or_else(|| {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        (values.len() > 1).then_some((least, most))
    });
    let ends = ends.map(|(low, high)| (rounded(low), rounded(high)));
    Some(Figure::new(rounded(median(values)?), ends))
}

/// What the windows say of a target and a workload.
pub(super) fn row(windows: &Windows, target: &Target, scenario: &'static Scenario) -> Row {
    let mut row = empty(target, scenario);
    let own = of(windows, &target.name, scenario);
    if own.is_empty() {
        let reason = target.serves(scenario).err();
        let reason = reason.or_else(|| windows.failure(&target.name, scenario.name));
        row.reason = Some(
            reason
                .unwrap_or("the run ended before its first round")
                .to_owned(),
        );
        return row;
    }
    let references = of(windows, &target.reference, scenario);
    let pairs: Vec<(&Window, Option<&Window>)> = own
        .iter()
        .map(|&window| {
            (
                window,
                references
                    .iter()
                    .find(|other| other.round == window.round)
                    .copied(),
            )
        })
        .collect();
    let is_disturbed = |(window, reference): &(&Window, Option<&Window>)| {
        window.disturbance.is_some()
            || reference.is_some_and(|reference| reference.disturbance.is_some())
    };
    let quiet: Vec<_> = pairs
        .iter()
        .copied()
        .filter(|pair| !is_disturbed(pair))
        .collect();
    let kept = if quiet.len() >= ENOUGH { quiet } else { pairs };
    row.rounds = kept.len();
    row.disturbed = kept.iter().filter(|pair| is_disturbed(pair)).count();
    let each = |value: &dyn Fn(&Window) -> Option<f64>| -> Vec<f64> {
        kept.iter()
            .filter_map(|(window, _)| value(window))
            .collect()
    };
    let ratios: Vec<f64> = kept
        .iter()
        .filter_map(|(window, reference)| Some(window.cpu / reference.as_ref()?.cpu))
        .collect();
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    let is_latency = scenario.kind == Kind::Latency;
    let all = [
        (Unit::Ratio, ratios),
        (Unit::Cpu, each(&|window| Some(window.cpu))),
        // It was the load that chose the rate.
        (
            Unit::Rate,
            each(&|window| (!is_latency).then_some(window.rate)),
        ),
        (Unit::Peak, each(&|window| window.peak.map(mebibytes))),
        (Unit::P50, each(&|window| Some(window.latency?.0))),
        (Unit::P99, each(&|window| Some(window.latency?.1))),
    ];
    for (unit, values) in all {
        if let Some(figure) = figure(&values) {
            row.figures.insert(unit, figure);
        }
    }
    let busy = median(&each(&|window| Some(window.busy))).unwrap_or_default();
    let load_busy = median(&each(&|window| Some(window.load_busy))).unwrap_or_default();
    if !is_latency && busy < SATURATED {
        let mark = if load_busy >= BUSY {
            "client-bound"
        } else {
            "unsaturated"
        };
        row.mark = Some(mark.to_owned());
    }
    row
}

fn of<'a>(windows: &'a Windows, target: &str, scenario: &Scenario) -> Vec<&'a Window> {
    let kept = windows.kept.iter();
    kept.filter(|window| window.target == target && window.workload == scenario.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Unit, Window, Windows, figure, row};
    use crate::bench::target::{Target, all};
    use crate::bench::workload::named;

    fn window(target: &str, round: usize, cpu: f64, is_disturbed: bool) -> Window {
        Window {
            target: target.to_owned(),
            workload: "plaintext",
            round,
            cpu,
            rate: 1e6 / cpu,
            busy: 1.0,
            load_busy: 0.5,
            peak: None,
            latency: None,
            stolen: 0.0,
            foreign: 0.0,
            disturbance: is_disturbed.then_some("other processes' CPU time"),
        }
    }

    fn target(name: &str) -> Target {
        all()
            .into_iter()
            .find(|target| target.name == name)
            .unwrap()
    }

    /// `tcp` at 9 µs in the quiet rounds and at 90 µs in the others, beside hyper at 8 µs.
    fn windows(quiet: usize, disturbed: usize) -> Windows {
        let mut windows = Windows::default();
        for round in 0..quiet + disturbed {
            let is_disturbed = round >= quiet;
            let cpu = if is_disturbed { 90.0 } else { 9.0 };
            windows.kept.push(window("tcp", round, cpu, is_disturbed));
            windows.kept.push(window("hyper", round, 8.0, false));
        }
        windows
    }

    #[test]
    fn disturbed_rounds_are_left_out_if_there_are_enough_quiet_ones() {
        let row = row(&windows(7, 20), &target("tcp"), named("plaintext").unwrap());
        assert_eq!((row.rounds, row.disturbed), (7, 0));
        assert_eq!(row.figures[&Unit::Ratio].value, 1.125);
        assert_eq!(row.figures[&Unit::Cpu].value, 9.0);
    }

    #[test]
    fn disturbed_rounds_are_kept_and_marked_if_there_are_not() {
        let row = row(&windows(2, 4), &target("tcp"), named("plaintext").unwrap());
        assert_eq!((row.rounds, row.disturbed, row.reason), (6, 4, None));
        // The interval is as wide as the disturbance.
        assert_eq!(row.figures[&Unit::Cpu].ends(), Some((9.0, 90.0)));
    }

    #[test]
    fn a_target_without_a_window_says_why() {
        let scenario = named("layers").unwrap();
        let reason = row(&Windows::default(), &target("hyper"), scenario)
            .reason
            .unwrap();
        assert!(reason.contains("no axum route"), "{reason}");
        let scenario = named("plaintext").unwrap();
        let reason = row(&Windows::default(), &target("hyper"), scenario)
            .reason
            .unwrap();
        assert!(reason.contains("before its first round"), "{reason}");
    }

    #[test]
    fn a_reference_is_one() {
        let row = row(
            &windows(6, 0),
            &target("hyper"),
            named("plaintext").unwrap(),
        );
        assert_eq!(row.figures[&Unit::Ratio].ends(), Some((1.0, 1.0)));
    }

    #[test]
    fn a_server_that_waits_for_a_busy_load_is_marked() {
        let mut windows = windows(6, 0);
        for window in &mut windows.kept {
            (window.busy, window.load_busy) = (0.5, 0.99);
        }
        let marked = row(&windows, &target("tcp"), named("plaintext").unwrap());
        assert_eq!(marked.mark.unwrap(), "client-bound");
    }

    #[test]
    fn few_values_have_a_span_and_one_has_none() {
        assert_eq!(figure(&[]), None);
        assert_eq!(figure(&[2.0]).unwrap().ends(), None);
        assert_eq!(figure(&[3.0, 1.0, 2.0]).unwrap().ends(), Some((1.0, 3.0)));
    }
}
