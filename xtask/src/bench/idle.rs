//! What a connection costs that's only there: how a server's private memory grows with their number.

use super::build::Binaries;
use super::report::{Report, Row, Unit};
use super::scenario::Scenario;
use super::session::Session;
use super::statistics::line;
use super::target::{Allocator, Target};
use super::text::{grouped, workers};
use anyhow::Context as _;
use anyport_bench_load::{Crowd, Interrupted, Workload};
use std::time::Duration;

/// How many connections; each number has a process of its own, so that none inherits what another left behind.
const STEPS: [usize; 4] = [1_000, 2_000, 4_000, 8_000];
/// The R2 of a line that bends too much to be called one.
const STRAIGHT: f64 = 0.98;
/// What an allocator may need to give back what it doesn't.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a connection that was used has been idle.
const REST: Duration = Duration::from_secs(2);

/// mimalloc takes huge pages, of 2 MiB each, where it can: that's as much as two thousand connections have, and would hide them in its steps.
const SMALL_PAGES: [&str; 2] = ["env", "MIMALLOC_ALLOW_THP=0"];

const STATES: [State; 2] = [
    ("fresh", |memory| memory.fresh),
    ("kept alive", |memory| memory.kept_alive),
];

/// What a state is called, and its bytes.
type State = (&'static str, fn(&Memory) -> u64);

/// Bytes in each of the states.
struct Memory {
    fresh: u64,
    kept_alive: u64,
}

/// Measures each target with each of the allocators, or with the system's, if it's one that's asked for and can't be had.
pub(super) fn run(session: &mut Session, allocators: &[Allocator]) -> Report {
    let mut report = Report {
        about: format!(
            "Private memory per idle connection, as the slope over {} connections of {}: fresh ones have sent nothing, \
            kept alive ones had one request each and were idle for {} s.",
            STEPS.map(|connections| grouped(connections as f64, 0)).join(", "),
            workers(session.workers),
            REST.as_secs()
        ),
        rows: Vec::new(),
        notes: vec!["The kernel's own memory for a socket isn't in it. mimalloc is kept from huge pages, whose steps of 2 MiB are too coarse for it.".to_owned()],
        interrupted: false,
    };
    if session.targets.contains(&Target::RustlsSession) {
        report.notes.push(format!(
            "{}'s connections made their handshakes, and had no request.",
            Target::RustlsSession
        ));
    }
    report.interrupted = fill(session, allocators, &mut report.rows).is_err();
    // All that's alike stands together: the reader compares servers, not states.
    report.rows.sort_by_key(|row| (row.workload, row.allocator));
    report.notes.extend(report.rows.iter().filter_map(bent));
    report
}

/// What there's to know of a row whose memory doesn't grow in step with its connections.
fn bent(row: &Row) -> Option<String> {
    let r_squared = row.r_squared.filter(|&r_squared| r_squared < STRAIGHT)?;
    let points = row.points.iter().map(|&(connections, kibibytes)| {
        format!("{} KiB with {}", grouped(kibibytes, 0), grouped(connections, 0))
    });
    Some(format!(
        "{} {} {} is no straight line (R2 {r_squared:.2}), so its slope says little: {}.",
        row.target,
        row.workload,
        row.allocator.name(),
        points.collect::<Vec<_>>().join(", ")
    ))
}

fn fill(session: &mut Session, allocators: &[Allocator], rows: &mut Vec<Row>) -> Result<(), Interrupted> {
    let binaries = session.build(&session.targets, allocators)?;
    session.expect(allocators.len() * session.targets.len() * STEPS.len());
    for &wanted in allocators {
        for &target in &session.targets {
            let is_had = allocators.len() > 1 || target.check_allocator(wanted).is_ok();
            let allocator = if is_had { wanted } else { Allocator::System };
            let steps = STEPS
                .iter()
                .map(|&connections| memory(session, &binaries, target, allocator, connections));
            let memory = match steps.collect::<anyhow::Result<Vec<_>>>() {
                Err(error) if error.is::<Interrupted>() => return Err(Interrupted),
                memory => memory.map_err(|error| format!("{error:#}")),
            };
            rows.extend(STATES.map(|(workload, bytes)| Row {
                workload,
                connections: STEPS[STEPS.len() - 1],
                ..row(target, allocator, memory.as_ref(), bytes)
            }));
        }
    }
    Ok(())
}

/// The slope of one state's memory.
fn row(
    target: Target,
    allocator: Allocator,
    memory: Result<&Vec<Memory>, &String>,
    bytes: fn(&Memory) -> u64,
) -> Row {
    let mut row = Row::new("idle", target, allocator, Unit::Kibibytes);
    match memory {
        Ok(memory) => {
            let points = STEPS.iter().zip(memory);
            let points =
                points.map(|(&connections, memory)| (connections as f64, bytes(memory) as f64 / 1024.0));
            row.points = points.collect();
            let line = line(&row.points);
            row.value = line.map(|line| line.slope);
            row.r_squared = line.map(|line| line.r_squared);
        }
        Err(reason) => row.reason = Some(reason.clone()),
    }
    row
}

/// One process, first in one state, then in the other.
fn memory(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    allocator: Allocator,
    connections: usize,
) -> anyhow::Result<Memory> {
    let name = allocator.name();
    session
        .progress
        .set_message(format!("{target}, {name}: {connections} idle connections"));
    target.check_allocator(allocator)?;
    let patience = &session.patience;
    let mut server = session.start(
        binaries,
        target,
        Scenario::PLAINTEXT,
        allocator,
        &SMALL_PAGES.map(Into::into),
    )?;
    let mut crowd = Crowd::connect(server.address(), Workload::Plaintext, connections, patience)
        .map_err(|error| server.explain(error))?;
    // A fresh connection says nothing, so only the server's descriptors tell that it has accepted it.
    patience
        .poll(|| Ok((server.accepted()? >= connections).then_some(())))?
        .with_context(|| format!("the server didn't accept {connections} connections"))?;
    patience.pause(SETTLE)?;
    let fresh = server.private_memory()?;
    let used = if target.speaks_http() {
        crowd.ask_each()
    } else {
        crowd.shake_hands_each()
    };
    used.map_err(|error| server.explain(error))?;
    patience.pause(REST)?;
    let kept_alive = server.private_memory()?;
    let left = server.accepted()?;
    anyhow::ensure!(
        left >= connections,
        "the server closed {} of {connections} connections meanwhile",
        connections - left
    );
    drop(crowd);
    server.stop()?;
    session.progress.inc(1);
    Ok(Memory { fresh, kept_alive })
}

#[cfg(test)]
mod tests {
    use super::{Allocator, Memory, STEPS, Target, bent, row};

    fn memory(kibibytes: [u64; 4]) -> Vec<Memory> {
        let memory = |kibibytes| Memory {
            fresh: kibibytes * 1024,
            kept_alive: 0,
        };
        kibibytes.map(memory).into()
    }

    #[test]
    fn the_value_is_the_slope() {
        let memory = memory(STEPS.map(|connections| 5_000 + 2 * connections as u64));
        let row = row(Target::Tcp, Allocator::System, Ok(&memory), |memory| memory.fresh);
        assert!((row.value.unwrap() - 2.0).abs() < 1e-9, "{row:?}");
        assert_eq!(bent(&row), None);
    }

    #[test]
    fn what_is_no_line_says_so() {
        let memory = memory([9_000, 2_000, 8_000, 7_500]);
        let row = row(Target::Tcp, Allocator::System, Ok(&memory), |memory| memory.fresh);
        let note = bent(&row).unwrap();
        assert!(
            note.starts_with("tcp plaintext system is no straight line"),
            "{note}"
        );
        assert!(note.ends_with("7,500 KiB with 8,000."), "{note}");
    }

    #[test]
    fn a_failure_is_the_reason() {
        let row = row(
            Target::Tcp,
            Allocator::System,
            Err(&"it died".to_owned()),
            |memory| memory.fresh,
        );
        assert_eq!((row.value, row.reason.as_deref()), (None, Some("it died")));
    }
}
