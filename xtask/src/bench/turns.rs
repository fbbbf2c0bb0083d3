//! What takes time, where only a ratio can be trusted: in turns, in a shuffled order, each beside the reference in the same round.

mod noise;
mod rounds;
mod window;

use super::build::Binaries;
use super::report::{Report, Unit};
use super::session::Session;
use super::target::{Allocator, Target};
use super::tool::look_for;
use anyport_bench_load::{Address, Amount, Interrupted, Patience};
use rounds::Rounds;
use std::num::NonZeroUsize;
use window::{Place, WINDOW};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TurnOptions {
    /// In each, every target and its reference have a window of a second.
    #[arg(long, value_name = "N", default_value = "15")]
    rounds: NonZeroUsize,
    /// Repeats the order of an earlier run [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keep the rounds in which other processes or the hypervisor had the CPU, too; for a machine that's never quiet.
    #[arg(long)]
    keep_disturbed: bool,
}

/// What keeps a server busy.
pub(super) trait Load {
    /// How many were done: all that were begun.
    fn run(&mut self, amount: Amount) -> anyhow::Result<u64>;
}

/// Something that all targets are to do, and how it's told.
pub(super) struct Course {
    pub(super) figure: &'static str,
    pub(super) workload: &'static str,
    pub(super) connections: usize,
    /// Of the CPU time that one of it takes.
    pub(super) time: Unit,
    /// Of how many there are in a second, if that's told.
    pub(super) rate: Option<Unit>,
    pub(super) load: Begin,
}

/// Connects; fails for a target that can't do it.
pub(super) type Begin = fn(&Course, Target, &Address, &Patience) -> anyhow::Result<Box<dyn Load>>;

/// Measures all targets, and the references they need, course after course. `what` begins the lines above the table.
pub(super) fn run(session: &mut Session, options: &TurnOptions, what: &str, courses: &[Course]) -> Report {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut report = Report {
        about: format!(
            "{what}: medians of {} rounds of {} s each and their 95 % intervals (bootstrap), each ratio from the same round; one worker, \
            allocator {}, order shuffled with seed {seed}.",
            options.rounds,
            WINDOW.as_secs(),
            Allocator::Mimalloc.name(),
        ),
        rows: Vec::new(),
        notes: Vec::new(),
        interrupted: false,
    };
    for target in session.targets.clone() {
        let reference = target.reference();
        if !session.targets.contains(&reference) {
            session.targets.push(reference);
        }
    }
    let rounds = |_| Rounds::new(options.rounds.get(), options.keep_disturbed, seed);
    let mut all: Vec<Rounds> = courses.iter().map(rounds).collect();
    report.interrupted = measure(session, options, courses, &mut all, &mut report.notes).is_err();
    for (course, rounds) in courses.iter().zip(&mut all) {
        for &target in &session.targets {
            report
                .rows
                .extend(rounds.rows(target, course, report.interrupted));
        }
        report.notes.extend(rounds.idleness(&session.targets, course));
        report.notes.extend(rounds.disturbances(course));
    }
    report
}

fn measure(
    session: &mut Session,
    options: &TurnOptions,
    courses: &[Course],
    all: &mut [Rounds],
    notes: &mut Vec<String>,
) -> Result<(), Interrupted> {
    if let Err(error) = look_for("taskset", "util-linux") {
        for rounds in all {
            for &target in &session.targets {
                rounds.fail(target, format!("{error:#}"));
            }
        }
        return Ok(());
    }
    let binaries = session.build(&[Allocator::Mimalloc])?;
    let place = Place::pin();
    if place == Place::Shared {
        notes.push(
            "Nothing is pinned, since this needs two cores: load and server take turns on one, and push each other out of its caches. \
            The ratios are too close to 1."
                .to_owned(),
        );
    }
    for (course, rounds) in courses.iter().zip(all) {
        session.expect(options.rounds.get());
        measure_course(session, &binaries, place, course, rounds)?;
    }
    Ok(())
}

fn measure_course(
    session: &Session,
    binaries: &Binaries,
    place: Place,
    course: &Course,
    rounds: &mut Rounds,
) -> Result<(), Interrupted> {
    while rounds.another() {
        session.patience.check()?;
        session
            .progress
            .set_message(format!("{}, {rounds}", course.workload));
        rounds.run(&session.targets, |target| {
            window::measure(session, binaries, target, place, course)
        })?;
        session.progress.set_position(rounds.kept() as u64);
    }
    Ok(())
}
