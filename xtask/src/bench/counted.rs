//! Figures that tools count: the difference of two runs, so that start and end cost nothing.

use super::context::Context;
use super::contract;
use super::pinning::Pinning;
use super::results::{Counts, Results};
use super::server::{Server, Start};
use super::target::Target;
use super::tool::{CALLGRIND, Count, PERF, Tool};
use super::workload::{Kind, Scenario};
use super::{present, reduce};
use anyhow::Context as _;
use anyport_bench_load::{Amount, Clients, Interrupted, Kind as LoadKind};
use std::fs;
use std::time::Instant;

/// Requests on each connection in the two runs, and the same of uploads.
const REQUESTS: (u64, u64) = (30, 150);
const UPLOADS: (u64, u64) = (1, 3);

/// Checks that both tools can count here.
pub(super) fn require_tools() -> anyhow::Result<()> {
    let missing = [&CALLGRIND, &PERF].into_iter().filter_map(|tool| {
        let error = tool.require().err()?;
        Some(format!("{} cannot count: {error:#}", tool.name))
    });
    let missing: Vec<String> = missing.collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

/// Counts a workload of these targets until the end, and prints each figure at once.
pub(super) fn measure(
    context: &Context,
    targets: &[&Target],
    scenario: &Scenario,
    end: Option<Instant>,
    results: &mut Results,
) -> Result<(), Interrupted> {
    for target in targets {
        let counts = match end.is_some_and(|end| Instant::now() >= end) {
            true => Err(anyhow::anyhow!("no time was left for it")),
            false => count(context, target, scenario),
        };
        context.timeout.check()?;
        results.add(target, scenario, counts);
        let row = reduce::row(results, target, scenario);
        context.progress.print(&present::line(&row));
    }
    Ok(())
}

fn count(context: &Context, target: &Target, scenario: &Scenario) -> anyhow::Result<Counts> {
    let tool = match scenario.kind {
        Kind::Instructions(_) => &CALLGRIND,
        Kind::Syscalls(_) => &PERF,
        _ => anyhow::bail!("`{}` is not counted", scenario.name),
    };
    let is_upload = scenario.workload().upload() > 0;
    let (few, many) = if is_upload { UPLOADS } else { REQUESTS };
    let progress = format!("{}: {target}", scenario.name);
    context.progress.show(&progress);
    let count = |each| one_run(context, target, scenario, tool, each);
    let requests = ((many - few) * scenario.connections as u64) as f64;
    let pairs = count(few)?.into_iter().zip(count(many)?);
    let each =
        |((unit, few), (_, many)): (Count, Count)| (unit, (many as f64 - few as f64) / requests);
    Ok(pairs.map(each).collect())
}

/// Counts from the server's start to its end.
fn one_run(
    context: &Context,
    target: &Target,
    scenario: &Scenario,
    tool: &Tool,
    each: u64,
) -> anyhow::Result<Vec<Count>> {
    let folder = context.target_dir.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {folder}"))?;
    // It stays, for callgrind_annotate.
    let output = folder.join(format!("{}-{target}-{each}.out", scenario.name));
    // On one core, all connections send a request, and the next one after all have their response.
    // So each tick of the server finds the same number of them.
    let _pinning = Pinning::shared()?;
    let start = Start {
        wrapper: &tool.wrapper(output.as_std_path()),
        ..Start::default()
    };
    let mut server = Server::start(context, target, start)?;
    let connections = scenario.connections;
    contract::check(target, server.address(), scenario, &context.timeout)
        .and_then(|()| {
            let kind = LoadKind::KeepAlive(scenario.workload());
            Clients::connect(server.address(), kind, connections, &context.timeout)
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
    (tool.parse)(&text)
}
