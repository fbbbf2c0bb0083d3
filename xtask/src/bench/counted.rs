//! The figures that a tool counts from outside: what more requests cost more, so that starting and ending cost nothing.

use super::build::Binaries;
use super::place::Place;
use super::repeats;
use super::report::{Report, Row, Unit};
use super::scenario::Scenario;
use super::session::Session;
use super::target::{Allocator, Target};
use super::text::{grouped, per, workers};
use super::tool::{CALLGRIND, Count, MEMCHECK, PERF, Tool};
use anyhow::Context as _;
use anyport_bench_load::{Amount, ClosedLoop, Interrupted, Workload};
use std::fs;
use std::num::NonZeroUsize;

/// What to count, and over how many requests.
#[derive(Debug)]
pub(super) struct Counted {
    figure: &'static str,
    about: &'static str,
    tool: Tool,
    units: &'static [Unit],
    allocator: Allocator,
    connections: &'static [usize],
    /// Whether all connections ask at once, and again once all are answered, on the server's own core. So it's no chance how many of them a turn of its loop answers, and whether the next request is
    /// there already when it looks for it.
    in_step: bool,
    pub(super) workload: Workload,
    /// The two runs.
    few: u64,
    many: u64,
}

pub(super) const INSTRUCTIONS: Counted = Counted {
    figure: "instructions",
    about: "User instructions per request",
    tool: CALLGRIND,
    units: &[Unit::Instructions],
    allocator: Allocator::Mimalloc,
    connections: &[8],
    in_step: true,
    workload: Workload::Plaintext,
    few: 1_000,
    many: 6_000,
};

pub(super) const SYSCALLS: Counted = Counted {
    figure: "syscalls",
    about: "System calls per request",
    tool: PERF,
    units: &[Unit::Syscalls],
    allocator: Allocator::Mimalloc,
    connections: &[1, 64],
    in_step: false,
    workload: Workload::Plaintext,
    few: 3_000,
    many: 18_000,
};

pub(super) const ALLOCATIONS: Counted = Counted {
    figure: "allocations",
    about: "Allocations per request, and what they add up to",
    tool: MEMCHECK,
    units: &[Unit::Allocations, Unit::Bytes],
    allocator: Allocator::System,
    connections: &[8],
    in_step: true,
    workload: Workload::Plaintext,
    few: 1_000,
    many: 6_000,
};

pub(super) const ALL: [&Counted; 3] = [&INSTRUCTIONS, &SYSCALLS, &ALLOCATIONS];

/// What the scheduler has no say in: with one connection, whether the server waits at all depends on how fast the load answers.
pub(super) const STEADY: [&Counted; 5] = [
    &INSTRUCTIONS,
    &Counted {
        connections: &[64],
        ..SYSCALLS
    },
    &ALLOCATIONS,
    &INSTRUCTIONS.of(Workload::Upload1M),
    &SYSCALLS.of(Workload::Upload1M),
];

impl Counted {
    /// The same of another workload. What a read finds of an upload depends on what the load has sent by then: in step, that differs least from run to run.
    pub(super) const fn of(self, workload: Workload) -> Self {
        match workload {
            Workload::Upload1M => Self {
                workload,
                connections: &[8],
                in_step: true,
                few: self.few / 60,
                many: self.many / 60,
                ..self
            },
            _ => Self { workload, ..self },
        }
    }
}

/// # Errors
///
/// When this machine can't count all of them: which not, why, and what to install.
pub(super) fn look_for_tools() -> anyhow::Result<()> {
    let missing = ALL.into_iter().filter_map(|counted| {
        let error = counted.tool.look_for().err()?;
        Some(format!("{} can't be counted: {error:#}", counted.figure))
    });
    let missing: Vec<String> = missing.collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("; "));
    Ok(())
}

/// Counts for each target, so often; a row that can't be measured says why.
pub(super) fn run(session: &mut Session, counted: &Counted, repeats: NonZeroUsize) -> Report {
    let mut report = Report {
        about: about(counted, session.workers, repeats),
        rows: Vec::new(),
        notes: Vec::new(),
        interrupted: false,
    };
    report.interrupted = fill(session, counted, repeats, &mut report.rows).is_err();
    report
}

fn about(counted: &Counted, number: NonZeroUsize, repeats: NonZeroUsize) -> String {
    let Counted {
        about,
        tool,
        allocator,
        connections,
        in_step,
        workload,
        few,
        many,
        ..
    } = counted;
    let connections: Vec<String> = connections.iter().map(ToString::to_string).collect();
    format!(
        "{}, {workload}, counted by {}, as the difference of {} and {} requests: {}; {}, {} connections{}, allocator {}.",
        per(workload.name(), about),
        tool.name,
        grouped(*many as f64, 0),
        grouped(*few as f64, 0),
        repeats::in_words(repeats),
        workers(number),
        connections.join(" and "),
        if *in_step { " in step" } else { "" },
        allocator.name()
    )
}

fn fill(
    session: &mut Session,
    counted: &Counted,
    repeats: NonZeroUsize,
    rows: &mut Vec<Row>,
) -> Result<(), Interrupted> {
    let binaries = match counted.tool.look_for() {
        Ok(()) => Ok(session.build(&session.targets, &[counted.allocator])?),
        Err(error) => Err(format!("{error:#}")),
    };
    let of_each = |&connections| session.targets.iter().map(move |&target| (connections, target));
    let subjects: Vec<(usize, Target)> = counted.connections.iter().flat_map(of_each).collect();
    session.expect(subjects.len() * repeats.get() * 2);
    let (measured, is_interrupted) =
        repeats::measure(&subjects, repeats, |(connections, target)| match &binaries {
            Ok(binaries) => per_request(session, counted, binaries, target, connections),
            Err(reason) => anyhow::bail!("{reason}"),
        });
    for ((connections, target), runs) in measured {
        for &unit in counted.units {
            let of_unit = |counts: &Vec<(Unit, f64)>| {
                let count = counts.iter().find(|count| count.0 == unit)?;
                Some(count.1)
            };
            let values = match &runs {
                Ok(runs) => Ok(runs.iter().filter_map(of_unit).collect()),
                Err(reason) => Err(reason.clone()),
            };
            let row = Row {
                connections,
                workload: counted.workload.name(),
                ..Row::new(counted.figure, target, counted.allocator, unit)
            };
            rows.push(row.of_runs(values));
        }
    }
    if is_interrupted { Err(Interrupted) } else { Ok(()) }
}

fn per_request(
    session: &Session,
    counted: &Counted,
    binaries: &Binaries,
    target: Target,
    connections: usize,
) -> anyhow::Result<Vec<(Unit, f64)>> {
    let count = |requests| one_run(session, counted, binaries, target, connections, requests);
    let (few, many) = (count(counted.few)?, count(counted.many)?);
    let requests = (counted.many - counted.few) as f64;
    let pairs = few.into_iter().zip(many);
    Ok(pairs
        .map(|((unit, few), (_, many))| (unit, (many as f64 - few as f64) / requests))
        .collect())
}

/// What the tool counts from the server's start to its end.
fn one_run(
    session: &Session,
    counted: &Counted,
    binaries: &Binaries,
    target: Target,
    connections: usize,
    requests: u64,
) -> anyhow::Result<Vec<Count>> {
    let scenario = Scenario::Http1(counted.workload);
    target.check_serves(scenario)?;
    counted.tool.check(target)?;
    session.progress.set_message(format!(
        "{target}: {requests} requests under {}",
        counted.tool.name
    ));
    let folder = session.target_dir.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {folder}"))?;
    // Kept: callgrind's can be looked into afterwards.
    let output = folder.join(format!(
        "{}-{target}-{connections}-{requests}.out",
        counted.figure
    ));
    let _place = counted.in_step.then(Place::shared).transpose()?;
    let wrapper = counted.tool.wrapper(output.as_std_path());
    let mut server = session.start(binaries, target, scenario, counted.allocator, &wrapper)?;
    let step = if counted.in_step {
        connections as u64
    } else {
        requests
    };
    ClosedLoop::connect(server.address(), counted.workload, connections, &session.patience)
        .and_then(|load| ask(load, requests, step))
        .map_err(|error| server.explain(error))?;
    server.stop()?;
    session.progress.inc(1);
    let text =
        fs::read_to_string(&output).with_context(|| format!("{} wrote no {output}", counted.tool.name))?;
    (counted.tool.read)(&text)
}

/// Asks so often; after each `step` requests, it waits until all of them are answered.
fn ask(mut load: ClosedLoop, mut requests: u64, step: u64) -> anyhow::Result<()> {
    while requests > 0 {
        requests -= load.run(Amount::Requests(step.min(requests)))?.requests;
    }
    Ok(())
}
