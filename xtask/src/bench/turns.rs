//! What takes time, where only a ratio can be trusted: in turns, in a shuffled order, each beside the reference in the same round. A window's slices alternate with those of
//! the others of its reference, so that whatever the machine does meets all of them.

mod batch;
mod log;
mod noise;
mod rounds;
mod window;

use super::place::Place;
use super::report::{Report, Unit};
use super::session::Session;
use super::statistics;
use super::target::{Allocator, Target};
use super::text::workers;
use super::tool::look_for;
use anyport_bench_load::{Address, Effort, Interrupted, Latency, Patience};
pub(super) use batch::OVERHEAD;
pub(super) use log::Logged;
use rounds::Rounds;
use std::num::NonZeroUsize;
use std::time::Duration;
pub(super) use window::Window;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TurnOptions {
    /// In each, every target and its reference have a window.
    #[arg(long, value_name = "N", default_value = "25")]
    pub(super) rounds: NonZeroUsize,
    /// How long a window lasts, such as 500ms or 2s.
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = duration)]
    pub(super) duration: Duration,
    /// Repeats the order of an earlier run [default: another one each time]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Keep the windows in which other processes or the hypervisor had the CPU, too; for a machine that's never quiet.
    #[arg(long)]
    pub(super) keep_disturbed: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(60);
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit = match unit {
        "ms" => Some(0.001),
        "s" => Some(1.0),
        _ => None,
    };
    let seconds = unit.and_then(|unit| Some(unit * number.parse::<f64>().ok()?));
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|duration| (SHORTEST..=LONGEST).contains(duration))
        .ok_or_else(|| format!("write a time from {SHORTEST:?} to {LONGEST:?}, such as 500ms or 2s"))
}

/// What keeps a server busy.
pub(super) trait Load {
    /// All that was begun within the time, and ended.
    fn run(&mut self, duration: Duration) -> anyhow::Result<Done>;

    /// The same, but nothing of it counts.
    fn warm_up(&mut self, duration: Duration) -> anyhow::Result<Done> {
        self.run(duration)
    }

    /// What speaks against all that was run since this was last asked, which took so long, beside what each run says of itself.
    fn objection(&mut self, _duration: Duration) -> Option<String> {
        None
    }
}

/// What a load did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) count: u64,
    /// How many there were in a second, if that isn't their number divided by the time.
    pub(super) rate: Option<f64>,
    /// Whether it was the load that chose the rate: then nobody has to be busy.
    pub(super) is_paced: bool,
    /// What the load took itself; nothing if it spins, so that it's never in the server's way.
    pub(super) effort: Option<Effort>,
    /// How late the answers were, if that was looked at.
    pub(super) latency: Option<Latency>,
    /// The share of requests that the load itself sent too late.
    pub(super) late: f64,
    /// Why nothing of it counts, if the machine was quiet.
    pub(super) objection: Option<String>,
}

impl Done {
    /// So many, without anything to be said of them.
    pub(super) fn of(count: u64) -> Self {
        Self {
            count,
            rate: None,
            is_paced: false,
            effort: None,
            latency: None,
            late: 0.0,
            objection: None,
        }
    }
}

/// Something that all targets are to do, and what's told of it.
pub(super) struct Course {
    pub(super) figure: &'static str,
    pub(super) workload: &'static str,
    pub(super) connections: usize,
    pub(super) values: Vec<Value>,
    pub(super) load: Begin,
}

impl Course {
    /// Whether those of one reference are measured together, in slices.
    fn is_in_slices(&self, session: &Session) -> bool {
        self.load.in_slices && session.has_ports()
    }

    fn tells_rate(&self) -> bool {
        self.values.iter().any(|value| value.unit.is_rate())
    }
}

/// One thing to be told of a window, and the unit of its ratio to the reference's, if that's told.
pub(super) struct Value {
    pub(super) unit: Unit,
    pub(super) of: fn(&Window) -> f64,
    pub(super) ratio: Option<Unit>,
}

impl Value {
    /// The CPU time that each took, and its ratio.
    pub(super) fn time(unit: Unit) -> Self {
        Self {
            unit,
            of: |window| window.time,
            ratio: Some(Unit::Ratio),
        }
    }

    /// How many there were in a second.
    pub(super) fn rate(unit: Unit) -> Self {
        Self {
            unit,
            of: |window| window.rate,
            ratio: None,
        }
    }
}

/// How a load begins.
pub(super) struct Begin {
    connect: Box<Connect>,
    /// Windows go in slices, in turns with those of the other targets.
    in_slices: bool,
}

/// Connects; fails for a target that can't do it.
type Connect = dyn Fn(&Course, Target, &Address, &Patience) -> anyhow::Result<Box<dyn Load>>;

impl Begin {
    /// A load that can be run again and again, for a moment each.
    pub(super) fn in_slices<L: Load + 'static>(
        connect: impl Fn(&Course, Target, &Address, &Patience) -> anyhow::Result<L> + 'static,
    ) -> Self {
        Self {
            in_slices: true,
            ..Self::whole(connect)
        }
    }

    /// One whose run says something as a whole only.
    pub(super) fn whole<L: Load + 'static>(
        connect: impl Fn(&Course, Target, &Address, &Patience) -> anyhow::Result<L> + 'static,
    ) -> Self {
        let connect = move |course: &Course, target, address: &Address, patience: &Patience| {
            let load = connect(course, target, address, patience)?;
            Ok(Box::new(load) as Box<dyn Load>)
        };
        Self {
            connect: Box::new(connect),
            in_slices: false,
        }
    }
}

/// Measures all targets, and the references they need, course after course. `what` begins the lines above the table.
pub(super) fn run(session: &mut Session, options: &TurnOptions, what: &str, courses: &[Course]) -> Report {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut report = Report {
        about: format!(
            "{what}: medians of {} rounds of {:?} each{}, each ratio from the same round; {}, allocator {}, order shuffled with seed {seed}.",
            options.rounds,
            options.duration,
            match options.rounds.get() >= statistics::FEWEST {
                true => " and their 95 % intervals",
                false => ", which are too few to tell an interval",
            },
            workers(session.workers),
            Allocator::Mimalloc.name(),
        ),
        rows: Vec::new(),
        notes: Vec::new(),
        interrupted: false,
    };
    let targets = with_references(&session.targets);
    for course in courses {
        let mut rounds = Rounds::new(
            targets.clone(),
            options.rounds.get(),
            options.keep_disturbed,
            seed,
        );
        rounds.are_in_slices = course.is_in_slices(session);
        report.interrupted = report.interrupted
            || measure(session, options.duration, course, &mut rounds, &mut report.notes).is_err();
        for &target in &targets {
            report
                .rows
                .extend(rounds.rows(target, course, report.interrupted));
            if let Some(latency) = rounds.latency(target) {
                report.interrupted |= session.keep_latency(course, target, &latency).is_err();
            }
        }
        let bounds = match course.tells_rate() {
            true => rounds.bounds(),
            false => Vec::new(),
        };
        let notes = bounds
            .into_iter()
            .chain(rounds.shortage())
            .chain(rounds.disturbances());
        report.notes.extend(notes.map(|note| match courses {
            [_] => note,
            _ => format!("{}: {note}", course.workload),
        }));
    }
    report
}

/// The targets, and those that their ratios need.
pub(super) fn with_references(targets: &[Target]) -> Vec<Target> {
    let mut all = targets.to_vec();
    for target in targets {
        let reference = target.reference();
        if !all.contains(&reference) {
            all.push(reference);
        }
    }
    all
}

fn measure(
    session: &mut Session,
    window: Duration,
    course: &Course,
    rounds: &mut Rounds,
    notes: &mut Vec<String>,
) -> Result<(), Interrupted> {
    if let Err(error) = look_for("taskset", "util-linux") {
        rounds.fail_all(&format!("{error:#}"));
        return Ok(());
    }
    let binaries = session.build(rounds.targets(), &[Allocator::Mimalloc])?;
    let place = match Place::apart(session.workers) {
        Ok(place) => place,
        Err(error) => {
            rounds.fail_all(&format!("{error:#}"));
            return Ok(());
        }
    };
    if !place.is_apart() {
        let note = "Nothing is pinned, since this needs two cores: load and server take turns on one, and push each other out of its caches. \
            The ratios are too close to 1.";
        if !notes.iter().any(|other| other == note) {
            notes.push(note.to_owned());
        }
    }
    if place.cores() < session.workers.get() {
        let note = format!(
            "{} share {} of this machine's cores, since the load has one, too: that's no measure of how the servers scale.",
            workers(session.workers),
            place.cores()
        );
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    session.expect(rounds.progress().1);
    while rounds.another() {
        session.patience.check()?;
        session
            .progress
            .set_message(format!("{}, {rounds}", course.workload));
        rounds.run(
            |targets| batch::measure(session, &binaries, targets, &place, course, window),
            |judged| session.keep_window(&Logged::new(course, judged)),
        )?;
        session.progress.set_position(rounds.progress().0 as u64);
    }
    Ok(())
}
