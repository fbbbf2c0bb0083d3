//! How late answers are when requests come at a constant rate, whether or not the last one was answered: a server that stalls can't hide it.

use super::loads;
use super::report::{Report, Unit};
use super::session::Session;
use super::target::Target;
use super::text::grouped;
use super::turns::{self, Course, TurnOptions, Value, Window};
use anyport_bench_child::Workload;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

/// How many rates are tried to find the one that a target can sustain.
pub(super) const PROBES: usize = 6;
/// Of what the slowest can, so that nobody is at its limit.
const COMMON: f64 = 0.5;
/// Of what each can sustain.
const SUSTAINED: f64 = 0.8;
/// Rounds that find out what the slowest can.
const CALIBRATION: NonZeroUsize = NonZeroUsize::new(3).unwrap();

/// In requests per second.
pub(super) type Rates = BTreeMap<Target, f64>;

/// The same rate for all, half of what the slowest of them can unless it's said.
pub(super) fn common(
    session: &mut Session,
    options: &TurnOptions,
    connections: usize,
    rate: Option<NonZeroU32>,
    known: Option<&Rates>,
) -> Report {
    let rate = match (rate, known) {
        (Some(rate), _) => f64::from(rate.get()),
        (None, Some(peaks)) if !peaks.is_empty() => half_of_the_slowest(peaks),
        (None, _) => {
            let report = calibrate(session, options, connections);
            let peaks = rates(&report);
            // Whom it can't be told of can't be measured either; the report says why.
            if report.interrupted || peaks.is_empty() {
                return report;
            }
            half_of_the_slowest(&peaks)
        }
    };
    let asked = turns::with_references(&session.targets).into_iter();
    let rates = asked.map(|target| (target, rate)).collect();
    let what = format!(
        "How late answers are at {} requests per second, from the moment at which each request was due",
        grouped(rate, 0)
    );
    let course = course("latency", connections, rates, Some(Unit::LatencyRatio));
    turns::run(session, options, &what, &[course])
}

/// The highest rate at which each answers 99 of 100 within 10 ms.
pub(super) fn search(session: &mut Session, options: &TurnOptions, connections: usize) -> Report {
    let search = Course {
        figure: "sustained",
        workload: Workload::Plaintext.name(),
        connections,
        values: vec![Value {
            ratio: Some(Unit::RateRatio),
            ..Value::rate(Unit::RequestsPerSecond)
        }],
        load: loads::search(Workload::Plaintext, PROBES),
    };
    let what = format!(
        "The highest rate of {PROBES} tried at which 99 of 100 requests are answered within 10 ms of the moment at which each was due"
    );
    turns::run(session, options, &what, &[search])
}

/// Each at a share of what it sustains.
pub(super) fn sustained(
    session: &mut Session,
    options: &TurnOptions,
    connections: usize,
    known: Option<&Rates>,
) -> Report {
    let rates = known.into_iter().flatten();
    let rates = rates.map(|(&target, rate)| (target, SUSTAINED * rate)).collect();
    let what = format!(
        "How late answers are at {:.0} % of the rate that each sustains, from the moment at which each request \
        was due",
        100.0 * SUSTAINED
    );
    turns::run(
        session,
        options,
        &what,
        &[course("latency-sustained", connections, rates, None)],
    )
}

/// `ratio` is the unit of what's compared with the reference, if the rates are alike.
fn course(figure: &'static str, connections: usize, rates: Rates, ratio: Option<Unit>) -> Course {
    let value = |unit, of: fn(&Window) -> f64, ratio| Value { unit, of, ratio };
    Course {
        figure,
        workload: Workload::Plaintext.name(),
        connections,
        values: vec![
            value(Unit::P50, |window| window.latency_within(0.5), None),
            value(Unit::P90, |window| window.latency_within(0.9), None),
            value(Unit::P99, |window| window.latency_within(0.99), ratio),
            value(Unit::P999, |window| window.latency_within(0.999), None),
            value(Unit::Max, |window| window.latency_within(1.0), None),
        ],
        load: loads::open(Workload::Plaintext, rates),
    }
}

/// Requests per second, as a report has them.
pub(super) fn rates(report: &Report) -> Rates {
    let rates = report
        .rows
        .iter()
        .filter(|row| row.unit == Unit::RequestsPerSecond);
    let known = rates.filter(|row| row.value.is_some_and(|rate| rate > 0.0));
    known.filter_map(|row| Some((row.target, row.value?))).collect()
}

fn calibrate(session: &mut Session, options: &TurnOptions, connections: usize) -> Report {
    let options = TurnOptions {
        rounds: CALIBRATION,
        ..options.clone()
    };
    let course = Course {
        figure: "calibration",
        workload: Workload::Plaintext.name(),
        connections,
        values: vec![Value::rate(Unit::RequestsPerSecond)],
        load: loads::closed(Workload::Plaintext),
    };
    turns::run(session, &options, "What the slowest target can", &[course])
}

/// Rounded down to two digits: nobody wants to read more of it.
fn half_of_the_slowest(peaks: &Rates) -> f64 {
    let half = COMMON * peaks.values().copied().fold(f64::INFINITY, f64::min);
    let step = 10_f64.powf(half.log10().floor() - 1.0);
    ((half / step).floor() * step).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::{Rates, half_of_the_slowest};
    use crate::bench::target::Target;

    #[test]
    fn the_rate_is_one_that_everybody_can_bear() {
        let peaks = Rates::from([(Target::Tcp, 123_456.0), (Target::Hyper, 101_999.0)]);
        assert_eq!(half_of_the_slowest(&peaks), 50_000.0);
        assert_eq!(half_of_the_slowest(&Rates::from([(Target::Tcp, 0.5)])), 1.0);
    }
}
