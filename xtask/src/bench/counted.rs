//! What tools count from outside: what more requests cost more, so that starting and ending cost
//! nothing.

use super::affinity::Place;
use super::build::Binaries;
use super::context::Context;
use super::contract;
use super::row::{Figure, Unit};
use super::server::{Server, Start};
use super::target::Target;
use super::tool::{CALLGRIND, Count, PERF, Tool};
use super::workload::{Kind, Scenario};
use anyhow::Context as _;
use anyport_bench_load::{Amount, Kind as Busy, Load};
use std::collections::BTreeMap;
use std::fs;

/// What to count, and over how many requests.
struct Counted {
    tool: &'static Tool,
    /// The two runs, in requests for each connection.
    few: u64,
    many: u64,
}

/// How it is counted, if it is.
fn counted(scenario: &Scenario) -> Option<Counted> {
    let (tool, workload) = match scenario.kind {
        Kind::Instructions(workload) => (&CALLGRIND, workload),
        Kind::Syscalls(workload) => (&PERF, workload),
        _ => return None,
    };
    let (few, many) = match (workload.upload() > 0, tool.is_slow) {
        (true, _) => (1, 3),
        (false, true) => (60, 300),
        (false, false) => (60, 300),
    };
    Some(Counted { tool, few, many })
}

/// # Errors
///
/// When this machine cannot count: why, and what to install.
pub(super) fn look_for_tools() -> anyhow::Result<()> {
    let missing = [&CALLGRIND, &PERF].into_iter().filter_map(|tool| {
        let error = tool.look_for().err()?;
        Some(format!("{} cannot count: {error:#}", tool.name))
    });
    let missing: Vec<String> = missing.collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

/// Counts once.
///
/// # Errors
///
/// Why there is nothing to tell.
pub(super) fn measure(
    context: &Context,
    binaries: &Binaries,
    target: &Target,
    scenario: &Scenario,
) -> anyhow::Result<BTreeMap<Unit, Figure>> {
    let counted = counted(scenario).context("it is not counted")?;
    context
        .progress
        .step(&format!("{}: {target}", scenario.name));
    let count = |each| one_run(context, binaries, target, scenario, counted.tool, each);
    let (few, many) = (count(counted.few)?, count(counted.many)?);
    let requests = ((counted.many - counted.few) * scenario.connections as u64) as f64;
    let pairs = few.into_iter().zip(many);
    Ok(pairs
        .map(|((unit, few), (_, many))| {
            (
                unit,
                Figure::new((many as f64 - few as f64) / requests, None),
            )
        })
        .collect())
}

/// What the tool counts from the server's start to its end.
fn one_run(
    context: &Context,
    binaries: &Binaries,
    target: &Target,
    scenario: &Scenario,
    tool: &Tool,
    each: u64,
) -> anyhow::Result<Vec<Count>> {
    let workload = scenario.workload().context("it asks for nothing")?;
    let folder = context.target_dir.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {folder}"))?;
    // Kept: callgrind's can be looked into afterwards.
    let output = folder.join(format!("{}-{target}-{each}.out", scenario.name));
    // On one core, and all connections ask at once and again once all have their response: so it is
    // no chance how many of them a turn of the server's loop finds.
    let _place = Place::shared()?;
    let start = Start {
        wrapper: &tool.wrapper(output.as_std_path()),
        ..Start::default()
    };
    let mut server = Server::start(context, binaries, target, start)?;
    let connections = scenario.connections;
    contract::check(target, server.address(), scenario, &context.patience)
        .and_then(|()| {
            let kind = Busy::KeepAlive(workload);
            Load::connect(server.address(), kind, connections, &context.patience)
        })
        .and_then(|mut load| {
            for _ in 0..each {
                load.run(Amount::Requests(connections as u64))?;
            }
            Ok(())
        })
        .map_err(|error| server.explain(error))?;
    server.stop()?;
    let text =
        fs::read_to_string(&output).with_context(|| format!("{} wrote no {output}", tool.name))?;
    (tool.read)(&text)
}
