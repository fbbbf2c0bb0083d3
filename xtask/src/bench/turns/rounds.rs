//! The rounds: which there are to be, which windows were kept in them, and what they say in the end.

mod round;
mod rows;

use super::window::Window;
use crate::bench::target::Target;
use fastrand::Rng;
pub(super) use round::{Judged, Measured};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many rounds may be tried for each that's ordered.
const ROUNDS: usize = 2;

pub(super) struct Rounds {
    targets: Vec<Target>,
    ordered: usize,
    keep_disturbed: bool,
    /// Those of one reference are measured together.
    pub(super) are_in_slices: bool,
    rng: Rng,
    tried: usize,
    /// Those that were kept, by the number of their round.
    windows: BTreeMap<Target, BTreeMap<usize, Window>>,
    /// How many there were, kept or not.
    measured: usize,
    failures: BTreeMap<Target, String>,
    /// By what, how often, and how much of it there was at the most.
    disturbed: BTreeMap<&'static str, (usize, f64)>,
}

impl Rounds {
    /// The targets' references have to be among them.
    pub(super) fn new(targets: Vec<Target>, ordered: usize, keep_disturbed: bool, seed: u64) -> Self {
        Self {
            targets,
            ordered,
            keep_disturbed,
            are_in_slices: false,
            rng: Rng::with_seed(seed),
            tried: 0,
            windows: BTreeMap::new(),
            measured: 0,
            failures: BTreeMap::new(),
            disturbed: BTreeMap::new(),
        }
    }

    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Nobody has a value, for this reason.
    pub(super) fn fail_all(&mut self, reason: &str) {
        for target in self.targets.clone() {
            self.fail(target, reason.to_owned());
        }
    }

    /// The target has no value any more; the others go on without it.
    fn fail(&mut self, target: Target, reason: String) {
        self.failures.insert(target, reason);
    }

    /// Whether one more is to be tried.
    pub(super) fn another(&self) -> bool {
        self.tried < ROUNDS * self.ordered && !self.wanting().is_empty()
    }

    /// Who hasn't had enough windows.
    fn wanting(&self) -> BTreeSet<Target> {
        let mut wanting: BTreeSet<Target> = self.targets.iter().copied().collect();
        wanting.retain(|target| !self.failures.contains_key(target) && self.kept(*target) < self.ordered);
        wanting
    }

    /// In how many rounds both it and its reference have a window that was kept.
    fn kept(&self, target: Target) -> usize {
        let Some(windows) = self.windows.get(&target) else {
            return 0;
        };
        match self.windows.get(&target.reference()) {
            Some(references) => windows
                .keys()
                .filter(|round| references.contains_key(round))
                .count(),
            // Nothing can be compared then; its values are its own.
            None if self.failures.contains_key(&target.reference()) => windows.len(),
            None => 0,
        }
    }

    /// How many windows there are of all that were ordered.
    pub(super) fn progress(&self) -> (usize, usize) {
        let alive = self
            .targets
            .iter()
            .filter(|target| !self.failures.contains_key(target));
        let kept = alive.map(|target| (self.kept(*target).min(self.ordered), self.ordered));
        kept.fold((0, 0), |(kept, all), (more, ordered)| {
            (kept + more, all + ordered)
        })
    }
}

impl fmt::Display for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thrown: usize = match self.keep_disturbed {
            true => 0,
            false => self.disturbed.values().map(|(times, _)| times).sum(),
        };
        write!(f, "round {}", self.tried)?;
        if thrown > 0 {
            write!(f, ", {thrown} windows thrown away")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Measured, Rounds, Target, Window};
    use crate::bench::report::Unit;
    use crate::bench::turns::{Begin, Course, Value, noise::Noise};
    use anyport_bench_load::{ClosedLoop, Interrupted};

    const TARGETS: [Target; 2] = [Target::Tcp, Target::Hyper];

    pub(super) fn course() -> Course {
        Course {
            figure: "handshakes",
            workload: "full",
            connections: 16,
            values: vec![
                Value::time(Unit::HandshakeMicroseconds),
                Value::rate(Unit::HandshakesPerSecond),
            ],
            load: Begin::whole(|_, _, _, _| anyhow::bail!("there's no server") as anyhow::Result<ClosedLoop>),
        }
    }

    pub(super) fn rounds(ordered: usize, keep_disturbed: bool) -> Rounds {
        Rounds::new(TARGETS.to_vec(), ordered, keep_disturbed, 7)
    }

    /// A round of which nobody wants to know more.
    pub(super) fn run(
        rounds: &mut Rounds,
        measure: impl FnMut(Target) -> anyhow::Result<Window>,
    ) -> Result<(), Interrupted> {
        rounds.run(each(measure), |_| Ok(()))
    }

    /// Measures one after the other.
    pub(super) fn each(
        mut measure: impl FnMut(Target) -> anyhow::Result<Window>,
    ) -> impl FnMut(&[Target]) -> Result<Measured, Interrupted> {
        move |targets| {
            let measured = targets.iter().map(|&target| match measure(target) {
                Err(error) if error.is::<Interrupted>() => Err(Interrupted),
                window => Ok((target, window)),
            });
            measured.collect()
        }
    }

    pub(super) fn window(time: f64, foreign: f64) -> anyhow::Result<Window> {
        Ok(Window {
            time,
            rate: 1e6 / time,
            busy: time / 6.0,
            load_busy: 1.0,
            is_paced: false,
            latency: None,
            noise: Noise {
                foreign,
                ..Noise::default()
            },
            objection: None,
        })
    }

    pub(super) fn values(rounds: &mut Rounds, target: Target) -> [Option<f64>; 2] {
        let rows = rounds.rows(target, &course(), false);
        [0, 1].map(|index| rows[index].value)
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut rounds = rounds(3, false);
        for slow in [1.0, 2.0, 4.0] {
            let measure = |target| window(if target == Target::Tcp { 3.0 } else { 2.0 } * slow, 0.0);
            run(&mut rounds, measure).unwrap();
        }
        assert!(!rounds.another());
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(6.0), Some(1.5)]);
        assert_eq!(values(&mut rounds, Target::Hyper), [Some(4.0), Some(1.0)]);
        assert_eq!(rounds.disturbances(), None);
    }

    #[test]
    fn who_has_enough_windows_waits_for_the_others() {
        let targets = vec![Target::Tcp, Target::Hyper, Target::Unix, Target::HyperUnix];
        let mut rounds = Rounds::new(targets, 1, false, 7);
        let quiet = |target: Target, noisy| window(1.0, if target == noisy { 0.3 } else { 0.0 });
        run(&mut rounds, |target| quiet(target, Target::Unix)).unwrap();
        assert!(rounds.another());
        let mut asked = Vec::new();
        let measure = |target| {
            asked.push(target);
            window(1.0, 0.0)
        };
        run(&mut rounds, measure).unwrap();
        asked.sort();
        // Its reference comes along, since a ratio is of one round.
        assert_eq!(asked, [Target::Unix, Target::HyperUnix]);
        assert!(!rounds.another());
        assert_eq!(values(&mut rounds, Target::Unix), [Some(1.0), Some(1.0)]);
    }

    #[test]
    fn disturbed_windows_are_kept_on_demand_and_told_all_the_same() {
        let mut rounds = rounds(1, true);
        run(&mut rounds, |_| window(1.0, 0.3)).unwrap();
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(1.0), Some(1.0)]);
        let told = rounds.disturbances().unwrap();
        assert!(told.contains("2 of 2 windows were disturbed, and kept"), "{told}");
    }

    #[test]
    fn a_round_counts_if_both_have_a_window_in_it() {
        let mut rounds = rounds(2, false);
        // Each is spoiled in another round, as often as it may be repeated.
        let mut spoil = |spoiled| {
            let measure = |target| window(1.0, if target == spoiled { 0.3 } else { 0.0 });
            run(&mut rounds, measure).unwrap();
        };
        spoil(Target::Tcp);
        spoil(Target::Hyper);
        assert!(rounds.another());
        run(&mut rounds, |_| window(1.0, 0.0)).unwrap();
        assert!(rounds.another());
        assert_eq!(
            rounds.shortage().unwrap(),
            "Of fewer rounds than the 2 that were ordered, since the others were disturbed: tcp 1."
        );
        run(&mut rounds, |_| window(1.0, 0.0)).unwrap();
        assert!(!rounds.another());
        assert_eq!(rounds.shortage(), None);
    }
}
