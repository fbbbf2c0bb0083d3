//! A constant rate, and how late the answers are, beside oha's with its correction for coordinated omission.

use super::server::{Rounds, Server};
use anyhow::Context as _;
use anyport_bench_load::{OpenLoop, Patience, Workload};
use serde_json::Value;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// In requests per second
    #[arg(long, default_value = "10000")]
    rate: NonZeroU32,
    #[command(flatten)]
    rounds: Rounds,
}

/// What one window brought, in microseconds but for the rate.
#[derive(Clone, Copy)]
struct Window {
    rate: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let rounds = &options.rounds;
    let server = Server::start(rounds)?;
    println!("At {} requests/s. ", options.rate);
    let windows = rounds.interleave(|| by_us(options, &server), || by_oha(options, &server))?;
    rounds.print(
        ["ours", "oha"],
        &windows,
        &[
            ("requests/s", |window| window.rate),
            ("p50 us", |window| window.p50),
            ("p90 us", |window| window.p90),
            ("p99 us", |window| window.p99),
            ("p99.9 us", |window| window.p999),
        ],
    );
    Ok(())
}

fn by_us(options: &Options, server: &Server) -> anyhow::Result<Window> {
    let patience = Patience::new(Duration::from_secs(10), Arc::default());
    let connections = options.rounds.connections;
    let mut load = OpenLoop::connect(&server.address, Workload::Plaintext, connections, &patience)?;
    let outcome = load.run(options.rate.get().into(), options.rounds.window)?;
    let within = |percent| outcome.latency.percentile(percent).as_secs_f64() * 1e6;
    Ok(Window {
        rate: outcome.achieved,
        p50: within(50.0),
        p90: within(90.0),
        p99: within(99.0),
        p999: within(99.9),
    })
}

fn by_oha(options: &Options, server: &Server) -> anyhow::Result<Window> {
    let output = Command::new("oha")
        .args(["--no-tui", "--output-format", "json", "--latency-correction"])
        .args(["-q", &options.rate.to_string()])
        .args(["-c", &options.rounds.connections.to_string()])
        .args(["-z", &format!("{}ms", options.rounds.window.as_millis())])
        .arg(format!("http://{}/", server.address))
        .output()
        .context("cannot run oha; cargo install oha")?;
    let error = || format!("oha printed {}", String::from_utf8_lossy(&output.stdout));
    let json: Value = serde_json::from_slice(&output.stdout).with_context(error)?;
    let number = |part: &str, name: &str| json[part][name].as_f64().with_context(error);
    let within = |name| anyhow::Ok(number("latencyPercentiles", name)? * 1e6);
    Ok(Window {
        rate: number("summary", "requestsPerSec")?,
        p50: within("p50")?,
        p90: within("p90")?,
        p99: within("p99")?,
        p999: within("p99.9")?,
    })
}
