//! `cargo xtask bench --check`: the figures that noise can't touch, against those that are committed, so that no regression lands unseen.

mod baseline;
mod comparison;

use super::report::{Report, Row};
use super::results::Environment;
use super::session::Session;
use super::target::{Allocator, Target};
use super::text::per;
use super::{counted, environment, exit_code, idle, tool};
use crate::output;
use anyport_bench_load::{Address, Interrupted, Workload};
use baseline::{Baseline, Figure};
use cargo_metadata::Metadata;
use comparison::Comparison;
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// What's checked if nobody says: each runtime, each driver, each kind of socket, and TLS. What else there is joins the same code in another way.
pub(super) const DEFAULT: [Target; 7] = [
    Target::TcpPerCore,
    Target::Tcp,
    Target::Unix,
    Target::Monoio,
    Target::MonoioEpoll,
    Target::Glommio,
    Target::TlsTcp,
];
/// As many as leave one that nobody disturbed, and so few that nobody waits for longer than for three minutes or so.
const REPEATS: NonZeroUsize = NonZeroUsize::new(3).unwrap();
/// How often whoever became worse is measured again.
const SECOND_LOOKS: usize = 2;
/// Where the figures are committed.
const BASELINE: &str = "benches/baseline.json";

/// Measures, and compares; with `update`, commits to what's measured instead.
///
/// # Errors
///
/// When a tool is missing, or the baseline can't be read or written.
pub(super) fn run(session: &mut Session, update: bool) -> anyhow::Result<ExitCode> {
    let path = session.root.join(BASELINE);
    let path = path.as_std_path();
    let environment = environment::look(session.root.as_std_path());
    let machine = baseline::machine(&environment);
    let mut baseline = match (update, path.exists()) {
        (true, false) => Baseline::default(),
        _ => Baseline::read(path)?,
    };
    // Nobody is to believe that something was looked at which this machine can't count.
    counted::look_for_tools()?;
    let refused = leave_out_refused(session);
    let idle_repeats = if update { REPEATS } else { NonZeroUsize::MIN };
    let Ok(rows) = measure(session, idle_repeats) else {
        return Ok(exit_code(true, false));
    };
    let mut figures: Vec<Figure> = rows.iter().filter_map(Figure::of).collect();
    let failures: Vec<String> = rows.iter().filter_map(failure).collect();
    if update {
        anyhow::ensure!(
            failures.is_empty(),
            "{BASELINE} stays as it is: {}",
            failures.join("; ")
        );
        baseline.take(machine, figures);
        baseline.write(path)?;
        output::print(format!(
            "{BASELINE} has the figures of now; commit it with what changed them.\n"
        ))?;
        if let Some(load) = busy(&environment) {
            output::print(format!(
                "This machine was busy (load {load}), which spoils them: update again when it isn't.\n"
            ))?;
        }
        if let Some((targets, why)) = refused {
            output::print(format!("It has none of now of {}: {why}.\n", names(&targets)))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if look_again(session, &mut figures, |figure| {
        baseline.is_worse(&machine, figure)
    })
    .is_err()
    {
        return Ok(exit_code(true, false));
    }
    let mut comparison = Comparison::of(&baseline, &machine, &figures);
    for failure in &failures {
        comparison.fail(failure);
    }
    if let Some((targets, why)) = refused {
        let count = targets.iter().map(|&target| baseline.count(target)).sum();
        comparison.leave_out(count, format!("of {}, since {why}", names(&targets)));
    }
    output::print(comparison.text())?;
    Ok(exit_code(false, comparison.is_good()))
}

/// Builds what's checked if nobody says.
///
/// # Errors
///
/// When the session can't begin.
pub(super) fn build(metadata: &Metadata) -> anyhow::Result<ExitCode> {
    let session = Session::new(&DEFAULT, &Address::Tcp(([127, 0, 0, 1], 0).into()), metadata)?;
    let built = session.build(&DEFAULT, &[Allocator::Mimalloc]);
    Ok(exit_code(
        built.is_err(),
        built.is_ok_and(|binaries| binaries.are_all()),
    ))
}

/// The load that there was before, if it's more than the cores bear.
fn busy(environment: &Environment) -> Option<f64> {
    let number = |name: &str| environment.get(name)?.split(' ').next()?.parse::<f64>().ok();
    let (load, cores) = (number("load.before")?, number("cpu.cores")?);
    (load > cores).then_some(load)
}

/// Takes from the session whom this kernel refuses what they're made of; who they are, and why.
fn leave_out_refused(session: &mut Session) -> Option<(Vec<Target>, String)> {
    let why = tool::look_for_io_uring().err()?;
    let (refused, rest) = session.targets.iter().partition(|target| target.needs_io_uring());
    session.targets = rest;
    let refused: Vec<Target> = refused;
    (!refused.is_empty()).then(|| (refused, format!("{why:#}")))
}

fn names(targets: &[Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
    names.join(", ")
}

/// Measures whoever has a figure that's worse again, which then is the lower one: noise makes it worse now and then, a change each time.
fn look_again(
    session: &mut Session,
    figures: &mut [Figure],
    is_worse: impl Fn(&Figure) -> bool,
) -> Result<(), Interrupted> {
    for _ in 0..SECOND_LOOKS {
        let worse: Vec<&mut Figure> = figures.iter_mut().filter(|figure| is_worse(figure)).collect();
        if worse.is_empty() {
            break;
        }
        session
            .targets
            .retain(|target| worse.iter().any(|figure| figure.target == target.name()));
        let again: Vec<Figure> = measure(session, REPEATS)?.iter().filter_map(Figure::of).collect();
        for figure in worse {
            figure.take_lower(&again);
        }
    }
    Ok(())
}

/// Idle memory takes longest, so at first it's measured once: whoever became worse is measured again.
fn measure(session: &mut Session, idle_repeats: NonZeroUsize) -> Result<Vec<Row>, Interrupted> {
    let mut rows = Vec::new();
    let mut take = |session: &mut Session, report: Report| {
        session.progress.finish_and_clear();
        rows.extend(report.rows);
        if report.interrupted {
            Err(Interrupted)
        } else {
            Ok(())
        }
    };
    for counted in counted::STEADY {
        let all = session.targets.clone();
        let mut repeats = REPEATS;
        if counted.workload == Workload::Upload1M {
            // Once is enough, since whoever became worse is measured again; so is one target of those with the same code.
            repeats = NonZeroUsize::MIN;
            let is_another = |target: &Target| !matches!(target, Target::Unix | Target::MonoioEpoll);
            session.targets.retain(is_another);
        }
        let report = counted::run(session, counted, repeats);
        session.targets = all;
        take(session, report)?;
    }
    let report = idle::run(session, idle::ENDS, &[Allocator::Mimalloc], idle_repeats);
    take(session, report)?;
    Ok(rows)
}

/// Why a row has no value that should have one.
fn failure(row: &Row) -> Option<String> {
    if row.value.is_some() || row.has_none_by_nature() {
        return None;
    }
    let reason = row.reason.as_deref().unwrap_or("it has no value");
    Some(format!(
        "{}: {}: not measured: {reason}",
        row.target,
        per(row.workload, row.unit.label())
    ))
}

#[cfg(test)]
mod tests {
    use super::{Environment, busy};

    #[test]
    fn a_machine_is_busy_whose_load_is_more_than_its_cores() {
        let environment = |load: &str| {
            let names = [("load.before", load), ("cpu.cores", "2")];
            Environment::from(names.map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        assert_eq!(busy(&environment("10.66 0.33 0.77")), Some(10.66));
        assert_eq!(busy(&environment("1.80 9.00 9.00")), None);
        assert_eq!(busy(&Environment::new()), None);
    }
}
