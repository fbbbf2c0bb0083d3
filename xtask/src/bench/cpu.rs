//! CPU time per request, where only a ratio can be trusted: in turns, in a shuffled order, each beside the reference in the same round.

mod noise;
mod rounds;
mod window;

use super::options::Options;
use super::report::Report;
use super::session::Session;
use super::target::Allocator;
use super::tool::look_for;
use anyport_bench_load::Interrupted;
use rounds::Rounds;
use std::num::NonZeroUsize;
use window::{Place, WINDOW};

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CpuOptions {
    #[command(flatten)]
    pub(super) options: Options,
    /// Keep-alive connections that ask at once.
    #[arg(long, value_name = "N", default_value = "16")]
    connections: NonZeroUsize,
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

/// Measures all targets, and the references they need.
pub(super) fn run(session: &mut Session, options: &CpuOptions) -> Report {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut report = Report {
        about: format!(
            "CPU time per request with {} connections: medians of {} rounds of {} s each and their 95 % intervals (bootstrap), each ratio \
            from the same round; one worker, allocator {}, order shuffled with seed {seed}.",
            options.connections,
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
    let mut rounds = Rounds::new(options.rounds.get(), options.keep_disturbed, seed);
    report.interrupted = measure(session, options, &mut rounds, &mut report.notes).is_err();
    for &target in &session.targets {
        report
            .rows
            .extend(rounds.rows(target, options.connections.get(), report.interrupted));
    }
    report.notes.extend(rounds.disturbances());
    report
}

fn measure(
    session: &mut Session,
    options: &CpuOptions,
    rounds: &mut Rounds,
    notes: &mut Vec<String>,
) -> Result<(), Interrupted> {
    if let Err(error) = look_for("taskset", "util-linux") {
        for &target in &session.targets {
            rounds.fail(target, format!("{error:#}"));
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
    session.expect(options.rounds.get());
    while rounds.another() {
        session.patience.check()?;
        session.progress.set_message(rounds.to_string());
        rounds.run(&session.targets, |target| {
            window::measure(session, &binaries, target, place, options.connections.get())
        })?;
        session.progress.set_position(rounds.kept() as u64);
    }
    Ok(())
}
