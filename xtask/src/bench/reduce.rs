//! Rows from results: medians, ratios of the same round, and their intervals.

use super::noise::MOST_FOREIGN;
use super::results::{Results, key};
use super::row::{Figure, Row, Unit, rounded};
use super::statistics::{FEWEST, interval_of_median, median};
use super::target::Target;
use super::timed::Window;
use super::workload::Scenario;
use std::collections::BTreeMap;

/// A server that is busy for a larger share of the time limits the rate.
const SATURATED: f64 = 0.95;
/// A load that is busy for a larger share limits the rate itself.
const BUSY: f64 = 0.9;

/// The row of a target and a workload.
pub(super) fn row(results: &Results, target: &Target, scenario: &Scenario) -> Row {
    let mut row = Row {
        target: target.name.clone(),
        reference: target.reference.clone(),
        peer: target.is_peer,
        workload: scenario.name.to_owned(),
        connections: scenario.connections,
        rounds: 0,
        disturbed: 0,
        mark: None,
        reason: None,
        figures: BTreeMap::new(),
    };
    if scenario.is_timed() {
        add_windows(&mut row, &results.windows, scenario);
    } else if let Some(rounds) = results.counts.get(&key(target, scenario)) {
        row.rounds = rounds.len();
        let mut values: BTreeMap<Unit, Vec<f64>> = BTreeMap::new();
        for &(unit, value) in rounds.iter().flatten() {
            values.entry(unit).or_default().push(value);
        }
        row.figures = figures(values);
    }
    if row.figures.is_empty() {
        row.reason = Some(results.reason(target, scenario).to_owned());
    }
    row
}

fn add_windows(row: &mut Row, windows: &[Window], scenario: &Scenario) {
    let of = |target: &str| -> Vec<&Window> {
        let windows = windows.iter();
        let of = windows.filter(|of| of.target == target && of.workload == scenario.name);
        of.collect()
    };
    let references = of(&row.reference);
    let references: BTreeMap<usize, _> = references.iter().map(|of| (of.round, *of)).collect();
    let pairs: Vec<(&Window, Option<&Window>)> = of(&row.target)
        .into_iter()
        .map(|window| (window, references.get(&window.round).copied()))
        .collect();
    let is_disturbed = |(window, reference): &(&Window, Option<&Window>)| {
        let mut windows = reference.iter().chain([window]);
        windows.any(|window| window.foreign > MOST_FOREIGN)
    };
    let mut kept = pairs.clone();
    kept.retain(|pair| !is_disturbed(pair));
    if kept.len() < FEWEST {
        kept = pairs;
    }
    row.rounds = kept.len();
    row.disturbed = kept.iter().filter(|pair| is_disturbed(pair)).count();
    let each = |value: &dyn Fn(&Window) -> Option<f64>| -> Vec<f64> {
        kept.iter().filter_map(|(of, _)| value(of)).collect()
    };
    let ratios = kept
        .iter()
        .filter_map(|(window, of)| Some(window.cpu / of.as_ref()?.cpu));
    let mebibytes = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    row.figures = figures([
        (Unit::Ratio, ratios.collect()),
        (Unit::Cpu, each(&|window| Some(window.cpu))),
        (Unit::Rate, each(&|window| Some(window.rate))),
        (Unit::Peak, each(&|window| window.peak.map(mebibytes))),
    ]);
    let busy = median(&each(&|window| Some(window.busy)));
    let load_busy = median(&each(&|window| Some(window.load_busy)));
    if busy.is_some_and(|share| share < SATURATED) {
        let mark = match load_busy.is_some_and(|share| share >= BUSY) {
            true => "client-bound",
            false => "unsaturated",
        };
        row.mark = Some(mark.to_owned());
    }
}

fn figures(values: impl IntoIterator<Item = (Unit, Vec<f64>)>) -> BTreeMap<Unit, Figure> {
    let figures = values.into_iter();
    figures
        .filter_map(|(unit, values)| Some((unit, figure(&values)?)))
        .collect()
}

/// The median and its interval. Fewer than six values have their span instead, which contains the
/// median of five with a probability of 94 %.
fn figure(values: &[f64]) -> Option<Figure> {
    let ends = interval_of_median(values).or_else(|| {
        let least = values.iter().copied().reduce(f64::min)?;
        let most = values.iter().copied().reduce(f64::max)?;
        (values.len() > 1).then_some((least, most))
    });
    let ends = ends.map(|(low, high)| (rounded(low), rounded(high)));
    Some(Figure::new(rounded(median(values)?), ends))
}

#[cfg(test)]
mod tests {
    use super::{Results, Row, Unit, Window, figure};
    use crate::bench::target::all;
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
            foreign: if is_disturbed { 0.1 } else { 0.0 },
        }
    }

    /// `tcp` at 9 µs in the quiet rounds and at 90 µs in the others, beside hyper at 8 µs.
    fn results(quiet: usize, disturbed: usize) -> Results {
        let mut results = Results::default();
        for round in 0..quiet + disturbed {
            let is_disturbed = round >= quiet;
            let cpu = if is_disturbed { 90.0 } else { 9.0 };
            let hyper = window("hyper", round, 8.0, false);
            let windows = [window("tcp", round, cpu, is_disturbed), hyper];
            results.windows.extend(windows);
        }
        results
    }

    fn row(results: &Results, target: &str, workload: &str) -> Row {
        let target = all().into_iter().find(|of| of.name == target).unwrap();
        super::row(results, &target, named(workload).unwrap())
    }

    #[test]
    fn disturbed_rounds_are_left_out_if_there_are_enough_quiet_ones() {
        let row = row(&results(7, 20), "tcp", "plaintext");
        assert_eq!((row.rounds, row.disturbed), (7, 0));
        assert_eq!(row.figures[&Unit::Ratio].value, 1.125);
        assert_eq!(row.figures[&Unit::Cpu].value, 9.0);
    }

    #[test]
    fn disturbed_rounds_are_kept_and_marked_if_there_are_not() {
        let row = row(&results(2, 4), "tcp", "plaintext");
        assert_eq!((row.rounds, row.disturbed, row.reason), (6, 4, None));
        // The interval is as wide as the disturbance.
        assert_eq!(row.figures[&Unit::Cpu].ends(), Some((9.0, 90.0)));
    }

    #[test]
    fn rows_without_figures_have_a_reason() {
        let reason = |workload| row(&Results::default(), "hyper", workload).reason.unwrap();
        assert!(reason("layers").contains("no axum route"));
        assert!(reason("plaintext").contains("before its first round"));
    }

    #[test]
    fn server_that_waits_for_a_busy_load_is_marked() {
        let mut results = results(6, 0);
        for window in &mut results.windows {
            (window.busy, window.load_busy) = (0.5, 0.99);
        }
        let mark = row(&results, "tcp", "plaintext").mark;
        assert_eq!(mark.unwrap(), "client-bound");
    }

    #[test]
    fn few_values_have_a_span() {
        assert_eq!(figure(&[]), None);
        assert_eq!(figure(&[2.0]).unwrap().ends(), None);
        assert_eq!(figure(&[3.0, 1.0, 2.0]).unwrap().ends(), Some((1.0, 3.0)));
    }
}
