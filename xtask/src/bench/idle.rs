//! What a connection costs that's only there: how a server's private memory grows with their number.

use super::build::Binaries;
use super::report::{Report, Row, Unit};
use super::session::Session;
use super::statistics::line;
use super::table::grouped;
use super::target::{Allocator, Target};
use anyhow::Context as _;
use anyport_bench_load::{Crowd, Interrupted};
use std::time::Duration;

/// How many connections; each number has a process of its own, so that none inherits what another left behind.
const STEPS: [usize; 4] = [1_000, 2_000, 4_000, 8_000];
/// What an allocator may need to give back what it doesn't.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a connection that was used has been idle.
const REST: Duration = Duration::from_secs(2);

const STATES: [&str; 2] = ["fresh", "kept alive"];

/// Measures each target with each allocator.
pub(super) fn run(session: &mut Session) -> Report {
    let mut report = Report {
        about: format!(
            "Private memory per idle connection, as the slope over {} connections of one worker: fresh ones have sent nothing, \
            kept alive ones had one request each and were idle for {} s.",
            STEPS.map(|connections| grouped(connections as f64, 0)).join(", "),
            REST.as_secs()
        ),
        rows: Vec::new(),
        notes: vec!["The kernel's own memory for a socket isn't in it.".to_owned()],
        interrupted: false,
    };
    report.interrupted = fill(session, &mut report.rows).is_err();
    report
}

fn fill(session: &mut Session, rows: &mut Vec<Row>) -> Result<(), Interrupted> {
    let allocators = [Allocator::Mimalloc, Allocator::System];
    let binaries = session.build(&allocators)?;
    session.expect(allocators.len() * session.targets.len() * STEPS.len());
    for allocator in allocators {
        for &target in &session.targets {
            let points = match STEPS
                .iter()
                .map(|&connections| memory(session, &binaries, target, allocator, connections))
                .collect::<anyhow::Result<Vec<_>>>()
            {
                Ok(points) => Ok(points),
                Err(error) if error.is::<Interrupted>() => return Err(Interrupted),
                Err(error) => Err(format!("{error:#}")),
            };
            for (index, workload) in STATES.into_iter().enumerate() {
                let mut row = Row {
                    workload,
                    connections: STEPS[STEPS.len() - 1],
                    ..Row::new("idle", target, allocator, Unit::Kibibytes)
                };
                match &points {
                    Ok(points) => {
                        let of_state: Vec<_> = points
                            .iter()
                            .zip(STEPS)
                            .map(|(bytes, connections)| (connections as f64, bytes[index] as f64 / 1024.0))
                            .collect();
                        let line = line(&of_state);
                        row.value = line.map(|line| line.slope);
                        row.r_squared = line.map(|line| line.r_squared);
                    }
                    Err(reason) => row.reason = Some(reason.clone()),
                }
                rows.push(row);
            }
        }
    }
    // All that's alike stands together: the reader compares servers, not states.
    rows.sort_by_key(|row| (row.workload, row.allocator));
    Ok(())
}

/// Bytes in each of the states.
fn memory(
    session: &Session,
    binaries: &Binaries,
    target: Target,
    allocator: Allocator,
    connections: usize,
) -> anyhow::Result<[u64; 2]> {
    let name = allocator.name();
    session
        .progress
        .set_message(format!("{target}, {name}: {connections} idle connections"));
    let patience = &session.patience;
    let mut server = session.start(binaries, target, allocator, &[])?;
    let crowd =
        Crowd::connect(server.address(), connections, patience).map_err(|error| server.explain(error))?;
    // A fresh connection says nothing, so only the server's descriptors tell that it has accepted it.
    patience
        .poll(|| Ok((server.accepted()? >= connections).then_some(())))?
        .with_context(|| format!("the server didn't accept {connections} connections"))?;
    patience.pause(SETTLE)?;
    let fresh = server.private_memory()?;
    crowd.ask_each().map_err(|error| server.explain(error))?;
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
    Ok([fresh, kept_alive])
}
