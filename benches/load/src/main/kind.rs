//! The kinds of load, and what's told of each.

use crate::options::{Churn, Closed, H2, Idle, Kind, Open, Options, Slow};
use crate::summary::Summary;
use anyhow::Context as _;
use anyport_bench_load::{ClosedLoop, Crowd, Effort, H2Load, OpenLoop, Patience, Trickle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// A load that has less time to wait has measured itself.
const BUSY: f64 = 0.95;
/// A load that sends one request in a thousand later than this has latencies of its own.
const LATE: Duration = Duration::from_millis(1);

pub(crate) fn run(options: &Options) -> anyhow::Result<Summary> {
    let patience = patience(options.patience)?;
    match &options.kind {
        Kind::Closed(options) => closed(options, &patience),
        Kind::Open(options) => open(options, &patience),
        Kind::Churn(options) => churn(options, &patience),
        Kind::Idle(options) => idle(options, &patience),
        Kind::Slow(options) => slow(options, &patience),
        Kind::H2(options) => h2(options, &patience),
    }
}

/// The first signal ends the run, the second one the process.
fn patience(silence: Duration) -> anyhow::Result<Patience> {
    let end = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order, the first finds the flag unset.
        register_conditional_default(signal, Arc::clone(&end))
            .and_then(|_| register(signal, Arc::clone(&end)))
            .context("cannot listen to signals")?;
    }
    Ok(Patience::new(silence, Arc::default()).ending_with(end))
}

fn closed(options: &Closed, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let connections = target.connections.get();
    let mut load = ClosedLoop::connect(&target.address, target.workload, connections, patience)?
        .with_pipeline(options.pipeline);
    if options.latency {
        load = load.with_latency();
    }
    let outcome = load.run(options.length.amount())?;
    let mut summary = Summary::new("closed", target);
    summary.count("requests", outcome.requests);
    summary.effort("requests_per_second", outcome.requests, outcome.effort.elapsed);
    busy(&mut summary, outcome.effort);
    summary.count("starved", outcome.starved as u64);
    if let Some(latency) = &outcome.latency {
        summary.latency("latency", latency);
    }
    if outcome.starved > 0 {
        summary.note(format!(
            "{} of {connections} connections had no answer until the time was over.",
            outcome.starved
        ));
    }
    if options.pipeline.get() > 1 {
        summary.note(format!(
            "{} requests in flight per connection are synthetic.",
            options.pipeline
        ));
    }
    Ok(summary)
}

fn open(options: &Open, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let mut load = OpenLoop::connect(
        &target.address,
        target.workload,
        target.connections.get(),
        patience,
    )?;
    let outcome = load.run(options.rate, options.span.duration)?;
    let mut summary = Summary::new("open", target);
    summary.count("requests", outcome.requests);
    summary.count("unsent", outcome.unsent);
    summary.rate("rate", outcome.rate);
    summary.rate("achieved", outcome.achieved);
    summary.latency("latency", &outcome.latency);
    summary.latency("lateness", &outcome.lateness);
    summary.time("stall", outcome.stall);
    if !outcome.kept_rate() {
        summary.note(
            "The rate wasn't kept; the latencies are those of the requests that were answered.".to_owned(),
        );
    }
    if outcome.lateness.percentile(99.9) > LATE {
        summary.note(
            "The load itself was late, and so are the latencies: it needs a core of its own.".to_owned(),
        );
    }
    Ok(summary)
}

fn churn(options: &Churn, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let lanes = target.connections.get();
    let requests = options.requests_each;
    let mut load =
        anyport_bench_load::Churn::new(&target.address, target.workload, lanes, requests, patience)?;
    let outcome = load.run(options.length.amount())?;
    let mut summary = Summary::new("churn", target);
    summary.count("connections_made", outcome.connections);
    summary.count("requests", outcome.requests);
    summary.effort(
        "connections_per_second",
        outcome.connections,
        outcome.effort.elapsed,
    );
    busy(&mut summary, outcome.effort);
    Ok(summary)
}

fn idle(options: &Idle, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let mut crowd = Crowd::connect(
        &target.address,
        target.workload,
        target.connections.get(),
        patience,
    )?;
    if options.kept_alive {
        crowd.ask_each()?;
    }
    let begun = Instant::now();
    patience.pause(options.span.duration)?;
    let mut summary = Summary::new("idle", target);
    summary.time("idle", begun.elapsed());
    Ok(summary)
}

fn slow(options: &Slow, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let connections = target.connections.get();
    let clients = Trickle::start(
        &target.address,
        target.workload,
        connections,
        options.pause,
        patience,
    )?;
    patience.pause(options.span.duration)?;
    let outcome = clients.stop()?;
    let mut summary = Summary::new("slow", target);
    summary.count("bytes", outcome.bytes);
    summary.count("requests", outcome.requests);
    summary.count("turned_away", outcome.turned_away);
    Ok(summary)
}

fn h2(options: &H2, patience: &Patience) -> anyhow::Result<Summary> {
    let target = &options.target;
    let (connections, streams) = (target.connections, options.streams);
    let mut load = H2Load::new(&target.address, target.workload, connections, streams, patience)?;
    if options.latency {
        load = load.with_latency();
    }
    let outcome = load.run(options.length.amount())?;
    let mut summary = Summary::new("h2", target);
    summary.count("requests", outcome.requests);
    summary.rate("requests_per_second", outcome.rate);
    busy(&mut summary, outcome.effort);
    if outcome.starved {
        summary.note("A connection had no answer until the time was over.".to_owned());
    }
    if let Some(latency) = &outcome.latency {
        summary.latency("latency", latency);
    }
    Ok(summary)
}

fn busy(summary: &mut Summary, effort: Effort) {
    summary.share("busy", effort.busy());
    if effort.busy() > BUSY {
        summary.note("The load had no time to wait: the server may be faster than this.".to_owned());
    }
}
