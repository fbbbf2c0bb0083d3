//! The rounds: who comes when, which are kept, and what they say in the end.

use super::Course;
use super::window::Window;
use crate::bench::report::{Row, Unit};
use crate::bench::statistics::{interval_of_median, median};
use crate::bench::target::{Allocator, Target};
use anyport_bench_load::Interrupted;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fmt;

/// Fewer don't tell anything, unless fewer were ordered.
const FEWEST: usize = 5;
/// Who has less to do waits for the load, and its rate is the load's.
const SATURATED: f64 = 0.95;
/// How many rounds may be tried for each that's ordered.
const TRIES: usize = 2;

pub(super) struct Rounds {
    ordered: usize,
    keep_disturbed: bool,
    rng: Rng,
    tried: usize,
    kept: usize,
    /// Of each kept round; fewer for a target that failed.
    windows: BTreeMap<Target, Vec<Window>>,
    failures: BTreeMap<Target, String>,
    /// By what, how often, and how much of it there was at the most.
    disturbed: BTreeMap<&'static str, (usize, f64)>,
}

impl Rounds {
    pub(super) fn new(ordered: usize, keep_disturbed: bool, seed: u64) -> Self {
        Self {
            ordered,
            keep_disturbed,
            rng: Rng::with_seed(seed),
            tried: 0,
            kept: 0,
            windows: BTreeMap::new(),
            failures: BTreeMap::new(),
            disturbed: BTreeMap::new(),
        }
    }

    /// The target has no value any more; the others go on without it.
    pub(super) fn fail(&mut self, target: Target, reason: String) {
        self.failures.insert(target, reason);
    }

    /// Whether one more is to be tried.
    pub(super) fn another(&self) -> bool {
        self.kept < self.ordered && self.tried < TRIES * self.ordered
    }

    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// Every target once, in an order of its own; kept only if nothing disturbed any of them.
    pub(super) fn run(
        &mut self,
        targets: &[Target],
        mut measure: impl FnMut(Target) -> anyhow::Result<Window>,
    ) -> Result<(), Interrupted> {
        self.tried += 1;
        let mut order = targets.to_vec();
        order.retain(|target| !self.failures.contains_key(target));
        self.rng.shuffle(&mut order);
        let mut windows = Vec::new();
        for target in order {
            match measure(target) {
                Ok(window) => {
                    if let Some((what, share)) = window.noise.disturbance() {
                        let (times, most) = self.disturbed.entry(what).or_default();
                        *times += 1;
                        *most = most.max(share);
                        if !self.keep_disturbed {
                            return Ok(());
                        }
                    }
                    windows.push((target, window));
                }
                Err(error) if error.is::<Interrupted>() => return Err(Interrupted),
                Err(error) => self.fail(target, format!("{error:#}")),
            }
        }
        for (target, window) in windows {
            self.windows.entry(target).or_default().push(window);
        }
        self.kept += 1;
        Ok(())
    }

    /// The target's time, its ratio to the reference's, and its rate, if that's told.
    pub(super) fn rows(&mut self, target: Target, course: &Course, interrupted: bool) -> Vec<Row> {
        let times = self.each(target, |window| window.time);
        let reference = self.each(target.reference(), |window| window.time);
        let pairs = times.iter().zip(&reference);
        let ratios = pairs.map(|(time, reference)| time / reference).collect();
        let rates = self.each(target, |window| window.rate);
        let mut figures = vec![(course.time, times), (Unit::Ratio, ratios)];
        figures.extend(course.rate.map(|unit| (unit, rates)));
        let row = |(unit, values): (Unit, Vec<f64>)| {
            let mut row = Row {
                workload: course.workload,
                connections: course.connections,
                reason: self.objection(target, unit, values.len(), interrupted),
                ..Row::new(course.figure, target, Allocator::Mimalloc, unit)
            };
            if row.reason.is_none() {
                row.value = median(&values);
                // A rate says no more than the time does, and needs no second one.
                if Some(unit) != course.rate {
                    row.interval = interval_of_median(&values, &mut self.rng);
                }
            }
            row
        };
        figures.into_iter().map(row).collect()
    }

    fn each(&self, target: Target, value: fn(&Window) -> f64) -> Vec<f64> {
        let windows = self.windows.get(&target).into_iter().flatten();
        windows.map(value).collect()
    }

    /// What the reader must know of rates that aren't the server's.
    pub(super) fn idleness(&self, targets: &[Target], course: &Course) -> Option<String> {
        course.rate?;
        let waited = |&target: &Target| {
            let busy = median(&self.each(target, |window| window.busy))?;
            let share = 100.0 * (1.0 - busy);
            (busy < SATURATED).then(|| format!("{target} for {share:.0} %"))
        };
        let waited: Vec<String> = targets.iter().filter_map(waited).collect();
        (!waited.is_empty()).then(|| {
            format!(
                "{}: the load isn't faster, so that servers had nothing to do ({} of the time); they can do more in a second.",
                course.workload,
                waited.join(", ")
            )
        })
    }

    /// Why there's no value, if there's none.
    fn objection(&self, target: Target, unit: Unit, rounds: usize, interrupted: bool) -> Option<String> {
        let reference = target.reference();
        if let Some(failure) = self.failures.get(&target) {
            Some(failure.clone())
        } else if unit == Unit::Ratio && self.failures.contains_key(&reference) {
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

    /// What the reader must know about the rounds.
    pub(super) fn disturbances(&self, course: &Course) -> Option<String> {
        let causes: Vec<String> = self
            .disturbed
            .iter()
            .map(|(what, (times, most))| format!("{times} by {what} (up to {:.0} %)", 100.0 * most))
            .collect();
        let fate = if self.keep_disturbed {
            "windows were disturbed, and kept"
        } else {
            "rounds were thrown away"
        };
        let count: usize = self.disturbed.values().map(|(times, _)| times).sum();
        (count > 0).then(|| {
            format!(
                "{}: {} rounds of {} kept; {count} {fate}: {}.",
                course.workload,
                self.kept,
                self.tried,
                causes.join(", ")
            )
        })
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rounds; {} thrown away", self.tried - self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::{Interrupted, Rounds, Row, Target, Window};
    use crate::bench::report::Unit;
    use crate::bench::turns::{Course, noise::Noise};

    const TARGETS: [Target; 2] = [Target::Tcp, Target::Hyper];

    const COURSE: Course = Course {
        figure: "handshakes",
        workload: "full",
        connections: 16,
        time: Unit::HandshakeMicroseconds,
        rate: Some(Unit::HandshakesPerSecond),
        load: |_, _, _, _| anyhow::bail!("there's no server"),
    };

    fn window(time: f64, foreign: f64) -> anyhow::Result<Window> {
        Ok(Window {
            time,
            rate: 1e6 / time,
            busy: time / 6.0,
            noise: Noise { stolen: 0.0, foreign },
        })
    }

    fn values(rounds: &mut Rounds, target: Target) -> [Option<f64>; 2] {
        let rows = rounds.rows(target, &COURSE, false);
        [0, 1].map(|index| rows[index].value)
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut rounds = Rounds::new(3, false, 7);
        for slow in [1.0, 2.0, 4.0] {
            let measure = |target| window(if target == Target::Tcp { 3.0 } else { 2.0 } * slow, 0.0);
            rounds.run(&TARGETS, measure).unwrap();
        }
        assert!(!rounds.another());
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(6.0), Some(1.5)]);
        assert_eq!(values(&mut rounds, Target::Hyper), [Some(4.0), Some(1.0)]);
        assert_eq!(rounds.disturbances(&COURSE), None);
    }

    #[test]
    fn disturbed_rounds_are_repeated_and_told_but_not_forever() {
        let mut rounds = Rounds::new(2, false, 7);
        let mut tries = 0;
        while rounds.another() {
            tries += 1;
            rounds
                .run(&TARGETS, |_| window(1.0, if tries == 1 { 0.3 } else { 0.0 }))
                .unwrap();
        }
        assert_eq!(tries, 3);
        let told = rounds.disturbances(&COURSE).unwrap();
        assert!(
            told.contains("2 rounds of 3 kept") && told.contains("up to 30 %"),
            "{told}"
        );

        let mut rounds = Rounds::new(2, false, 7);
        while rounds.another() {
            rounds.run(&TARGETS, |_| window(1.0, 0.3)).unwrap();
        }
        let rows = rounds.rows(Target::Tcp, &COURSE, false);
        let reason = rows[0].reason.clone().unwrap();
        assert!(reason.contains("only 0 of 4 rounds were undisturbed"), "{reason}");
    }

    #[test]
    fn disturbed_rounds_are_kept_on_demand_and_told_all_the_same() {
        let mut rounds = Rounds::new(1, true, 7);
        rounds.run(&TARGETS, |_| window(1.0, 0.3)).unwrap();
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(1.0), Some(1.0)]);
        let told = rounds.disturbances(&COURSE).unwrap();
        assert!(told.contains("2 windows were disturbed, and kept"), "{told}");
    }

    #[test]
    fn who_fails_costs_nobody_else_a_value() {
        let mut rounds = Rounds::new(2, false, 7);
        while rounds.another() {
            let measure = |target| match target {
                Target::Hyper => Err(anyhow::anyhow!("the server ended")),
                _ => window(1.0, 0.0),
            };
            rounds.run(&TARGETS, measure).unwrap();
        }
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(1.0), None]);
        let reason = |row: &Row| row.reason.clone().unwrap();
        let rows = rounds.rows(Target::Tcp, &COURSE, false);
        assert_eq!(reason(&rows[1]), "its reference, hyper, wasn't measured");
        let rows = rounds.rows(Target::Hyper, &COURSE, false);
        assert_eq!(reason(&rows[0]), "the server ended");
    }

    #[test]
    fn what_was_measured_before_an_interruption_is_said() {
        let mut rounds = Rounds::new(15, false, 7);
        rounds.run(&TARGETS, |_| window(1.0, 0.0)).unwrap();
        rounds.run(&TARGETS, |_| Err(Interrupted.into())).unwrap_err();
        let rows = rounds.rows(Target::Tcp, &COURSE, true);
        let values: Vec<_> = rows.iter().map(|row| row.value).collect();
        assert_eq!(values, [Some(1.0), Some(1.0), Some(1e6)]);
    }

    #[test]
    fn who_waits_for_the_load_is_told() {
        let mut rounds = Rounds::new(1, false, 7);
        let measure = |target| window(if target == Target::Tcp { 3.0 } else { 6.0 }, 0.0);
        rounds.run(&TARGETS, measure).unwrap();
        let told = rounds.idleness(&TARGETS, &COURSE).unwrap();
        assert!(told.contains("full: the load isn't faster"), "{told}");
        assert!(told.contains("(tcp for 50 % of the time)"), "{told}");
        assert_eq!(rounds.idleness(&[Target::Hyper], &COURSE), None);
        let untold = Course { rate: None, ..COURSE };
        assert_eq!(rounds.idleness(&TARGETS, &untold), None);
    }
}
