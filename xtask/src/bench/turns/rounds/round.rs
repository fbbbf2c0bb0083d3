//! One round: who comes when, and which windows are kept.

use super::Rounds;
use crate::bench::target::Target;
use crate::bench::turns::Window;
use anyport_bench_load::Interrupted;
use std::collections::{BTreeMap, VecDeque};

/// How often a target has a window in one round, if disturbances spoil it.
const WINDOWS: usize = 3;

/// A window, and what became of it.
#[derive(Debug)]
pub(in crate::bench::turns) struct Judged<'a> {
    pub(in crate::bench::turns) target: Target,
    pub(in crate::bench::turns) round: usize,
    pub(in crate::bench::turns) window: &'a Window,
    pub(in crate::bench::turns) is_kept: bool,
}

/// What's said of a window with which nothing was wrong.
const TOGETHER: &str = "it went in turns with one that counts for nothing, and is repeated with it";

/// A window of each target, or why it has none.
pub(in crate::bench::turns) type Measured = Vec<(Target, anyhow::Result<Window>)>;

impl Rounds {
    /// Each target that needs it has a window beside its reference's. Those that are measured together are repeated together if one was disturbed, but not forever. So are they if
    /// one has nothing to say, since the machine may have been the reason: only who can't, however often, has no value. All windows are told.
    pub(in crate::bench::turns) fn run(
        &mut self,
        mut measure: impl FnMut(&[Target]) -> Result<Measured, Interrupted>,
        mut tell: impl FnMut(&Judged<'_>) -> Result<(), Interrupted>,
    ) -> Result<(), Interrupted> {
        let round = self.tried;
        self.tried += 1;
        let mut queue: VecDeque<(Vec<Target>, usize)> =
            self.batches().into_iter().map(|batch| (batch, 1)).collect();
        while let Some((batch, time)) = queue.pop_front() {
            let mut windows = Vec::new();
            for (target, window) in measure(&batch)? {
                match window {
                    Ok(window) => windows.push((target, self.is_disturbed(&window), window)),
                    Err(error) => self.fail(target, format!("{error:#}")),
                }
            }
            let is_good = |(_, is_disturbed, window): &(Target, bool, Window)| {
                !is_disturbed && window.objection.is_none()
            };
            let again = time < WINDOWS && !windows.iter().all(is_good);
            if again {
                let left = windows.iter().map(|(target, ..)| *target).collect();
                repeat(&mut queue, left, time + 1);
            }
            for (target, is_disturbed, mut window) in windows {
                if again && !is_disturbed {
                    window.objection.get_or_insert_with(|| TOGETHER.to_owned());
                }
                let is_kept = !again && !is_disturbed && window.objection.is_none();
                tell(&Judged {
                    target,
                    round,
                    window: &window,
                    is_kept,
                })?;
                if is_kept {
                    self.windows.entry(target).or_default().insert(round, window);
                } else if let Some(objection) = window.objection.filter(|_| !again && !is_disturbed) {
                    self.fail(target, objection);
                }
            }
        }
        Ok(())
    }

    /// Takes down that there was a window, and whether it's disturbed so that it isn't kept.
    fn is_disturbed(&mut self, window: &Window) -> bool {
        self.measured += 1;
        let Some((what, share)) = window.noise.disturbance() else {
            return false;
        };
        let (times, most) = self.disturbed.entry(what).or_default();
        *times += 1;
        *most = most.max(share);
        !self.keep_disturbed
    }

    /// Those that are measured together. Those of one reference come one after the other in any case, so that little changes between them.
    fn batches(&mut self) -> Vec<Vec<Target>> {
        let mut groups: BTreeMap<Target, Vec<Target>> = BTreeMap::new();
        for target in self.wanting() {
            let group = groups.entry(target.root()).or_default();
            // Those it's compared with come along, once.
            for target in [target, target.reference()] {
                if !group.contains(&target) && !self.failures.contains_key(&target) {
                    group.push(target);
                }
            }
        }
        for group in groups.values_mut() {
            self.rng.shuffle(group);
        }
        let mut groups: Vec<Vec<Target>> = groups.into_values().collect();
        self.rng.shuffle(&mut groups);
        match self.are_in_slices {
            true => groups,
            false => groups.concat().into_iter().map(|target| vec![target]).collect(),
        }
    }
}

/// Once more, after the others of its reference.
fn repeat(queue: &mut VecDeque<(Vec<Target>, usize)>, batch: Vec<Target>, time: usize) {
    let root = |batch: &[Target]| batch.first().map(|target| target.root());
    let own = root(&batch);
    let end = queue.iter().position(|(other, _)| root(other) != own);
    queue.insert(end.unwrap_or(queue.len()), (batch, time));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{course, each, rounds, run, values, window};
    use super::{Judged, Rounds, Target};

    #[test]
    fn a_disturbed_window_is_repeated_in_its_round() {
        let mut rounds = rounds(1, false);
        let mut windows = 0;
        let measure = |target| {
            windows += 1;
            window(
                if target == Target::Tcp { 3.0 } else { 2.0 },
                if windows == 1 { 0.3 } else { 0.0 },
            )
        };
        run(&mut rounds, measure).unwrap();
        assert!(!rounds.another());
        assert_eq!(windows, 3);
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(3.0), Some(1.5)]);
        let told = rounds.disturbances().unwrap();
        assert!(
            told.starts_with("1 of 3 windows were thrown away: 1 by other processes"),
            "{told}"
        );
        assert!(told.contains("up to 30 %"), "{told}");
    }

    #[test]
    fn those_of_one_reference_follow_each_other() {
        let targets = vec![
            Target::Tcp,
            Target::Unix,
            Target::Hyper,
            Target::UnixPerCore,
            Target::HyperUnix,
        ];
        let mut rounds = Rounds::new(targets, 10, false, 7);
        while rounds.another() {
            let mut references = Vec::new();
            let measure = |target: Target| {
                references.push(target.reference());
                window(1.0, 0.0)
            };
            run(&mut rounds, measure).unwrap();
            references.dedup();
            assert_eq!(references.len(), 2, "{references:?}");
        }
    }

    #[test]
    fn nobody_has_two_windows_in_a_round_that_nothing_disturbed() {
        let targets = vec![Target::TcpAgain, Target::Tcp, Target::Hyper];
        let mut rounds = Rounds::new(targets, 1, false, 7);
        rounds.are_in_slices = true;
        let mut batches = 0;
        let measure = |targets: &[Target]| {
            batches += 1;
            assert_eq!(targets.len(), 3);
            Ok(targets.iter().map(|&target| (target, window(1.0, 0.0))).collect())
        };
        rounds.run(measure, |_| Ok(())).unwrap();
        assert_eq!((batches, rounds.another()), (1, false));
    }

    #[test]
    fn who_is_measured_together_is_repeated_together() {
        let targets = vec![Target::Tcp, Target::Hyper, Target::Unix, Target::HyperUnix];
        let mut rounds = Rounds::new(targets, 1, false, 7);
        rounds.are_in_slices = true;
        let (mut batches, mut told) = (Vec::new(), Vec::new());
        let measure = |targets: &[Target]| {
            let mut batch = targets.to_vec();
            batch.sort();
            let is_first = !batches.contains(&batch);
            batches.push(batch);
            let spoiled = |target| is_first && target == Target::Tcp;
            let measured = targets.iter().map(|&target| {
                let time = if is_first { 3.0 } else { 1.0 };
                (target, window(time, if spoiled(target) { 0.3 } else { 0.0 }))
            });
            Ok(measured.collect())
        };
        let tell = |judged: &Judged<'_>| {
            told.push((judged.target, judged.is_kept));
            Ok(())
        };
        rounds.run(measure, tell).unwrap();
        assert!(!rounds.another());
        batches.sort();
        let (tcp, unix) = (
            vec![Target::Tcp, Target::Hyper],
            vec![Target::Unix, Target::HyperUnix],
        );
        assert_eq!(batches, [tcp.clone(), tcp, unix]);
        // The reference's first window was beside one that isn't kept.
        told.sort();
        let kept = told.iter().filter(|(_, is_kept)| *is_kept).count();
        assert!(told.contains(&(Target::Hyper, false)) && kept == 4, "{told:?}");
        assert_eq!(values(&mut rounds, Target::Hyper)[0], Some(1.0));
    }

    #[test]
    fn each_window_is_told_with_its_round_and_whether_it_is_kept() {
        let mut rounds = Rounds::new(vec![Target::Hyper], 2, false, 7);
        let (mut windows, mut told) = (0, Vec::new());
        while rounds.another() {
            let measure = |_| {
                windows += 1;
                let mut window = window(1.0, if windows == 1 { 0.3 } else { 0.0 })?;
                window.objection = (windows == 2).then(|| "too slow".to_owned());
                Ok(window)
            };
            let tell = |judged: &Judged<'_>| {
                told.push((judged.round, judged.is_kept));
                Ok(())
            };
            rounds.run(each(measure), tell).unwrap();
        }
        assert_eq!(told, [(0, false), (0, false), (0, true), (1, true)]);
    }

    #[test]
    fn one_window_that_says_nothing_is_repeated() {
        let mut rounds = rounds(2, false);
        let mut windows = 0;
        while rounds.another() {
            let measure = |_| {
                windows += 1;
                let mut window = window(1.0, 0.0)?;
                window.objection = (windows == 1).then(|| "too slow".to_owned());
                Ok(window)
            };
            run(&mut rounds, measure).unwrap();
        }
        assert_eq!(windows, 5);
        assert_eq!(values(&mut rounds, Target::Tcp), [Some(1.0), Some(1.0)]);
    }

    #[test]
    fn who_cannot_bear_the_load_fails_unless_the_machine_was_busy() {
        let overloaded = |foreign| {
            let mut rounds = rounds(1, false);
            let measure = |target| {
                let mut window = window(1.0, foreign)?;
                window.objection = (target == Target::Tcp).then(|| "too slow".to_owned());
                Ok(window)
            };
            run(&mut rounds, measure).unwrap();
            rounds.rows(Target::Tcp, &course(), false)[0]
                .reason
                .clone()
                .unwrap()
        };
        assert_eq!(overloaded(0.0), "too slow");
        assert!(overloaded(0.3).contains("undisturbed"));
    }
}
