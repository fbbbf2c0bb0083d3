//! What the rounds say in the end: values, ratios, and how far they can be trusted.

use super::Rounds;
use crate::bench::report::{Mark, Row, Unit};
use crate::bench::statistics::{FEWEST, MISSES, deviation, interval_of_median, median};
use crate::bench::target::{Allocator, Target};
use crate::bench::turns::{Course, Window};
use anyport_bench_load::Latency;
use std::collections::BTreeMap;

impl Rounds {
    /// What the course tells of a target.
    pub(in crate::bench::turns) fn rows(
        &self,
        target: Target,
        course: &Course,
        interrupted: bool,
    ) -> Vec<Row> {
        let own = self.bound(target);
        // A ratio is as little the server's if its reference's rate isn't.
        let of_either = own.or_else(|| self.bound(target.reference()));
        let mut rows = Vec::new();
        for value in &course.values {
            let values = self.each(target, value.of);
            rows.push(self.row(target, course, value.unit, values, interrupted));
            if let Some(unit) = value.ratio {
                let ratios = self.ratios(target, value.of);
                rows.push(self.row(target, course, unit, ratios, interrupted));
            }
        }
        for row in rows.iter_mut().filter(|row| row.unit.is_rate()) {
            row.mark = if row.unit.is_ratio() { of_either } else { own };
        }
        rows
    }

    fn row(&self, target: Target, course: &Course, unit: Unit, rounds: Vec<f64>, interrupted: bool) -> Row {
        let mut row = Row {
            workload: course.workload,
            connections: course.connections,
            reason: self.objection(target, unit, rounds.len(), interrupted),
            ..Row::new(course.figure, target, Allocator::Mimalloc, unit)
        };
        if row.reason.is_none() && unit == Unit::Max {
            row.value = rounds.iter().copied().reduce(f64::max);
        } else if row.reason.is_none() {
            row.value = median(&rounds);
            row.interval = interval_of_median(&rounds, MISSES);
            row.sigma = deviation(&rounds);
        }
        row.rounds = rounds;
        row
    }

    fn each(&self, target: Target, value: fn(&Window) -> f64) -> Vec<f64> {
        let windows = self.windows.get(&target).into_iter().flatten();
        windows.map(|(_, window)| value(window)).collect()
    }

    /// Of those rounds in which both have a window.
    fn ratios(&self, target: Target, value: fn(&Window) -> f64) -> Vec<f64> {
        let (Some(windows), Some(references)) =
            (self.windows.get(&target), self.windows.get(&target.reference()))
        else {
            return Vec::new();
        };
        let pairs = windows
            .iter()
            .filter_map(|(round, window)| Some((window, references.get(round)?)));
        pairs
            .map(|(window, reference)| value(window) / value(reference))
            .collect()
    }

    /// How late the answers of all its windows were, if that was asked.
    pub(in crate::bench::turns) fn latency(&self, target: Target) -> Option<Latency> {
        let windows = self.windows.get(&target).into_iter().flat_map(BTreeMap::values);
        let mut latencies = windows.filter_map(|window| window.latency.as_ref());
        let mut all = latencies.next()?.clone();
        for latency in latencies {
            all.merge(latency);
        }
        Some(all)
    }

    /// Why its rate isn't the server's: who has something to do for the whole time is what limits it.
    fn bound(&self, target: Target) -> Option<Mark> {
        /// Who has less to do isn't what limits the rate.
        const SATURATED: f64 = 0.95;
        /// Who has as much to do as this can't do more.
        const BUSY: f64 = 0.9;
        let mut windows = self.windows.get(&target).into_iter().flatten();
        if windows.any(|(_, window)| window.is_paced) {
            return None;
        }
        let server = median(&self.each(target, |window| window.busy))?;
        let load = median(&self.each(target, |window| window.load_busy))?;
        (server < SATURATED).then_some(if load >= BUSY {
            Mark::ClientBound
        } else {
            Mark::Unsaturated
        })
    }

    /// What the reader must know of rates that aren't the server's.
    pub(in crate::bench::turns) fn bounds(&self) -> Vec<String> {
        let told = [
            (
                Mark::ClientBound,
                "the load had no time left, so that the server had nothing to do; it can do more in a second",
            ),
            (
                Mark::Unsaturated,
                "neither the load nor the server had something to do for the whole time; the rate is that of the way there and back",
            ),
        ];
        let tell = |(mark, why): (Mark, &str)| {
            let bound = self
                .targets
                .iter()
                .filter(|target| self.bound(**target) == Some(mark));
            let names: Vec<&str> = bound.map(|target| target.name()).collect();
            let told = format!(
                "{}: {why}. What counts is the CPU time ({}).",
                mark.label(),
                names.join(", ")
            );
            (!names.is_empty()).then_some(told)
        };
        told.into_iter().filter_map(tell).collect()
    }

    /// Whose ratios are of fewer rounds than were ordered, if anybody's are.
    pub(in crate::bench::turns) fn shortage(&self) -> Option<String> {
        let short = self.targets.iter().filter(|target| {
            !self.failures.contains_key(target) && (1..self.ordered).contains(&self.kept(**target))
        });
        let told: Vec<String> = short
            .map(|target| format!("{target} {}", self.kept(*target)))
            .collect();
        (!told.is_empty()).then(|| {
            format!(
                "Of fewer rounds than the {} that were ordered, since the others were disturbed: {}.",
                self.ordered,
                told.join(", ")
            )
        })
    }

    /// Why there's no value, if there's none.
    fn objection(&self, target: Target, unit: Unit, rounds: usize, interrupted: bool) -> Option<String> {
        let reference = target.reference();
        if let Some(failure) = self.failures.get(&target) {
            Some(failure.clone())
        } else if unit.is_ratio() && self.failures.contains_key(&reference) {
            Some(format!("its reference, {reference}, wasn't measured"))
        } else if interrupted {
            (rounds == 0).then(|| "interrupted before the end of the first round".to_owned())
        } else {
            let least = FEWEST.min(self.ordered);
            (rounds < least).then(|| {
                format!(
                    "only {rounds} of {} rounds were undisturbed, and {least} are needed; wait until the machine is quiet, or take \
                    --keep-disturbed",
                    self.tried
                )
            })
        }
    }

    /// What the reader must know about the windows.
    pub(in crate::bench::turns) fn disturbances(&self) -> Option<String> {
        let causes: Vec<String> = self
            .disturbed
            .iter()
            .map(|(what, (times, most))| format!("{times} by {what} (up to {})", share(*most)))
            .collect();
        let fate = if self.keep_disturbed {
            "were disturbed, and kept"
        } else {
            "were thrown away"
        };
        let count: usize = self.disturbed.values().map(|(times, _)| times).sum();
        (count > 0).then(|| {
            format!(
                "{count} of {} windows {fate}: {}.",
                self.measured,
                causes.join(", ")
            )
        })
    }
}

/// So that a little isn't told as nothing.
fn share(of_one: f64) -> String {
    let digits = if of_one < 0.01 { 2 } else { 0 };
    format!("{:.digits$} %", 100.0 * of_one)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{course, rounds, run, values, window};
    use super::{Mark, Row, Target, Unit};
    use anyport_bench_load::Interrupted;

    #[test]
    fn what_the_median_hides_is_kept_beside_it() {
        let mut rounds = rounds(6, false);
        let times = [1.0, 1.0, 2.0, 2.0, 6.0, 6.0];
        for time in times {
            run(&mut rounds, |_| window(time, 0.0)).unwrap();
        }
        let row = rounds.rows(Target::Tcp, &course(), false).remove(0);
        assert_eq!((row.value, row.rounds), (Some(2.0), times.to_vec()));
        let sigma = row.sigma.unwrap();
        assert!((sigma - 5.6_f64.sqrt()).abs() < 1e-9, "{sigma}");
        let interval = row.interval.unwrap();
        assert_eq!((interval.low, interval.high), (1.0, 6.0));
    }

    #[test]
    fn a_machine_that_is_never_quiet_is_told_in_the_end() {
        let mut rounds = rounds(2, false);
        let mut tried = 0;
        while rounds.another() {
            tried += 1;
            run(&mut rounds, |_| window(1.0, 0.3)).unwrap();
        }
        assert_eq!(tried, 4);
        let rows = rounds.rows(Target::Tcp, &course(), false);
        let reason = rows[0].reason.clone().unwrap();
        assert!(reason.contains("only 0 of 4 rounds were undisturbed"), "{reason}");
    }

    #[test]
    fn who_fails_costs_nobody_else_a_value() {
        let mut rounds = rounds(2, false);
        while rounds.another() {
            let measure = |target| match target {
                Target::Hyper => Err(anyhow::anyhow!("the server ended")),
                _ => window(1.0, 0.0),
            };
            run(&mut rounds, measure).unwrap();
        }
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(1.0), None]);
        let reason = |row: &Row| row.reason.clone().unwrap();
        let rows = rounds.rows(Target::Tcp, &course(), false);
        assert_eq!(reason(&rows[1]), "its reference, hyper, wasn't measured");
        let rows = rounds.rows(Target::Hyper, &course(), false);
        assert_eq!(reason(&rows[0]), "the server ended");
    }

    #[test]
    fn what_was_measured_before_an_interruption_is_said() {
        let mut rounds = rounds(15, false);
        run(&mut rounds, |_| window(1.0, 0.0)).unwrap();
        run(&mut rounds, |_| Err(Interrupted.into())).unwrap_err();
        let rows = rounds.rows(Target::Tcp, &course(), true);
        let values: Vec<_> = rows.iter().map(|row| row.value).collect();
        assert_eq!(values, [Some(1.0), Some(1.0), Some(1e6)]);
    }

    #[test]
    fn who_waits_for_a_busy_load_is_told() {
        let mut rounds = rounds(1, false);
        let measure = |target| window(if target == Target::Tcp { 3.0 } else { 6.0 }, 0.0);
        run(&mut rounds, measure).unwrap();
        let told = rounds.bounds().remove(0);
        assert!(
            told.starts_with("client-bound: ") && told.contains("(tcp)"),
            "{told}"
        );
        let marks = |target| {
            let rows = rounds.rows(target, &course(), false);
            rows.iter().map(|row| row.mark).collect::<Vec<_>>()
        };
        assert_eq!(marks(Target::Tcp), [None, None, Some(Mark::ClientBound)]);
        assert_eq!(marks(Target::Hyper), [None; 3]);
    }

    #[test]
    fn a_ratio_to_a_reference_that_waits_for_the_load_is_no_servers() {
        let mut rounds = rounds(1, false);
        // 6 us are all that a server has time for.
        let measure = |target| window(if target == Target::Tcp { 6.0 } else { 3.0 }, 0.0);
        run(&mut rounds, measure).unwrap();
        let mut course = course();
        course.values[1].ratio = Some(Unit::RateRatio);
        let rows = rounds.rows(Target::Tcp, &course, false);
        let mark = |unit| rows.iter().find(|row| row.unit == unit).unwrap().mark;
        assert_eq!(mark(Unit::HandshakesPerSecond), None);
        assert_eq!(mark(Unit::RateRatio), Some(Mark::ClientBound));
    }

    #[test]
    fn at_a_rate_that_the_load_chose_nobody_has_to_be_busy() {
        let mut rounds = rounds(1, false);
        let paced = |_| {
            let mut window = window(3.0, 0.0)?;
            window.load_busy = 0.0;
            window.is_paced = true;
            Ok(window)
        };
        run(&mut rounds, paced).unwrap();
        assert_eq!(rounds.bounds(), [""; 0]);
        let rows = rounds.rows(Target::Tcp, &course(), false);
        assert_eq!(rows.last().unwrap().mark, None);
    }

    #[test]
    fn a_rate_that_nobody_was_busy_for_is_told() {
        let mut rounds = rounds(1, false);
        let idle = |_| {
            let mut window = window(3.0, 0.0)?;
            window.load_busy = 0.4;
            Ok(window)
        };
        run(&mut rounds, idle).unwrap();
        assert!(
            rounds.bounds()[0].starts_with("unsaturated: neither"),
            "{:?}",
            rounds.bounds()
        );
        let rows = rounds.rows(Target::Tcp, &course(), false);
        assert_eq!(rows.last().unwrap().mark, Some(Mark::Unsaturated));
    }
}
