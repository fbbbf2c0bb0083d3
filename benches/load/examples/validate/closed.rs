//! Connections that ask again as soon as they're answered, beside wrk's.

use super::server::{Rounds, Server, ratio};
use anyhow::Context as _;
use anyport_bench_load::{Amount, ClosedLoop, Patience, Workload, children_time};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rounds: Rounds,
}

/// What one window brought.
#[derive(Clone, Copy)]
struct Window {
    rate: f64,
    /// Microseconds of CPU time per request.
    server: f64,
    load: f64,
    /// Share of the window in which the server ran.
    busy: f64,
    latency: Latencies,
}

/// Percentiles in microseconds.
#[derive(Clone, Copy)]
struct Latencies {
    p50: f64,
    p90: f64,
    p99: f64,
}

/// How far from wrk's our rate may be.
const ALIKE: f64 = 0.05;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let rounds = &options.rounds;
    let server = Server::start(rounds)?;
    let windows = rounds.interleave(|| by_us(rounds, &server), || by_wrk(rounds, &server))?;
    rounds.print(
        ["ours", "wrk"],
        &windows,
        &[
            ("requests/s", |window| window.rate),
            ("server's us/request", |window| window.server),
            ("load's us/request", |window| window.load),
            ("server's share, %", |window| 100.0 * window.busy),
            ("p50 us", |window| window.latency.p50),
            ("p90 us", |window| window.latency.p90),
            ("p99 us", |window| window.latency.p99),
        ],
    );
    anyhow::ensure!(
        (ratio(&windows, |window| window.rate) - 1.0).abs() <= ALIKE,
        "the rates differ by more than {:.0} %",
        100.0 * ALIKE
    );
    Ok(())
}

fn by_us(rounds: &Rounds, server: &Server) -> anyhow::Result<Window> {
    let patience = Patience::new(Duration::from_secs(10), Arc::default());
    let mut load = ClosedLoop::connect(
        &server.address,
        Workload::Plaintext,
        rounds.connections,
        &patience,
    )?
    .with_latency();
    let before = server.cpu()?;
    let outcome = load.run(Amount::For(rounds.window))?;
    let time = server.cpu()? - before;
    let seconds = outcome.effort.elapsed.as_secs_f64();
    let load = outcome.effort.cpu.as_secs_f64();
    let latency = outcome.latency.context("the load told no latency")?;
    let within = |percentile| latency.percentile(percentile).as_secs_f64() * 1e6;
    let latency = Latencies {
        p50: within(50.0),
        p90: within(90.0),
        p99: within(99.0),
    };
    Ok(window(outcome.requests as f64, seconds, time, load, latency))
}

fn by_wrk(rounds: &Rounds, server: &Server) -> anyhow::Result<Window> {
    let before = (server.cpu()?, children_time()?);
    let output = Command::new("wrk")
        .args(["-t1", "--latency"])
        .arg(format!("-c{}", rounds.connections))
        .arg(format!("-d{}s", rounds.window.as_secs()))
        .arg(format!("http://{}/", server.address))
        .output()
        .context("cannot run wrk; on Debian: apt install wrk")?;
    let time = server.cpu()? - before.0;
    let load = (children_time()? - before.1).as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    // "  66563 requests in 1.10s, 8.25MB read"
    let line = text.lines().find(|line| line.contains(" requests in "));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    let [requests, _, _, seconds, ..] = words[..] else {
        anyhow::bail!("wrk printed no number of requests: {text}");
    };
    let seconds: f64 = seconds.trim_end_matches("s,").parse()?;
    let latency = Latencies {
        p50: percentile(&text, "50%")?,
        p90: percentile(&text, "90%")?,
        p99: percentile(&text, "99%")?,
    };
    Ok(window(requests.parse()?, seconds, time, load, latency))
}

/// Of a line such as "     50%  278.00us", in microseconds.
fn percentile(text: &str, share: &str) -> anyhow::Result<f64> {
    let mut lines = text.lines().map(str::split_whitespace);
    let time = lines
        .find_map(|mut words| (words.next() == Some(share)).then(|| words.next()).flatten())
        .with_context(|| format!("wrk printed no {share}: {text}"))?;
    let (number, unit) = time.split_at(time.trim_end_matches(char::is_alphabetic).len());
    let scale = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => anyhow::bail!("wrk printed a time in {unit:?}: {time}"),
    };
    Ok(scale * number.parse::<f64>()?)
}

fn window(requests: f64, seconds: f64, server: f64, load: f64, latency: Latencies) -> Window {
    Window {
        rate: requests / seconds,
        server: 1e6 * server / requests,
        load: 1e6 * load / requests,
        busy: server / seconds,
        latency,
    }
}
