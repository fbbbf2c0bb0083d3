//! A server beside itself: two processes that are asked in turns, for as long in all whatever a turn's length. They ought to take the same; by how much they don't is what the machine does.

use super::server::{Rounds, Server, median};
use anyport_bench_load::{Amount, ClosedLoop, Patience, Workload};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    rounds: Rounds,
}

/// Milliseconds. None is longer than a window.
const SLICES: [u64; 7] = [5, 10, 20, 50, 100, 300, 1000];

const WARM_UP: Duration = Duration::from_millis(500);

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let rounds = &options.rounds;
    let servers: [Server; 2] = Server::start_all(rounds)?;
    let patience = Patience::new(Duration::from_secs(10), Arc::default());
    let mut loads = Vec::new();
    for server in &servers {
        let address = &server.address;
        let mut load = ClosedLoop::connect(address, Workload::Plaintext, rounds.connections, &patience)?;
        load.run(Amount::For(WARM_UP))?;
        loads.push(load);
    }
    println!(
        "CPU time per request of a server beside itself, as a ratio: {} rounds of {:?} each with {} connections, in slices.\n",
        rounds.rounds, rounds.window, rounds.connections
    );
    println!(
        "{:<10} {:>7} {:>9} {:>9} {:>9}",
        "slice", "median", "lowest", "highest", "sigma"
    );
    let slices = SLICES.map(Duration::from_millis);
    for slice in slices.into_iter().filter(|slice| *slice <= rounds.window) {
        let mut ratios = (0..rounds.rounds)
            .map(|_| round(&servers, &mut loads, slice, rounds.window))
            .collect::<anyhow::Result<Vec<f64>>>()?;
        ratios.sort_by(f64::total_cmp);
        let middle = median(ratios.iter().copied());
        let (Some(lowest), Some(highest)) = (ratios.first(), ratios.last()) else {
            anyhow::bail!("there was no round");
        };
        println!(
            "{:<10} {middle:>7.3} {lowest:>9.3} {highest:>9.3} {:>7.1} %",
            format!("{slice:?}"),
            100.0 * deviation(&ratios)
        );
    }
    Ok(())
}

/// The first one's CPU time per request by the second one's.
fn round(
    servers: &[Server; 2],
    loads: &mut [ClosedLoop],
    slice: Duration,
    window: Duration,
) -> anyhow::Result<f64> {
    let cpu = || Ok::<_, anyhow::Error>([servers[0].cpu()?, servers[1].cpu()?]);
    let before = cpu()?;
    let mut requests = [0.0; 2];
    for turn in 0..(window.as_nanos() / slice.as_nanos()) {
        // Neither is always the one that comes behind the other.
        let order = if turn % 2 == 0 { [0, 1] } else { [1, 0] };
        for index in order {
            requests[index] += loads[index].run(Amount::For(slice))?.requests as f64;
        }
    }
    let after = cpu()?;
    let time = [0, 1].map(|index| (after[index] - before[index]) / requests[index]);
    Ok(time[0] / time[1])
}

/// The standard deviation of one.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt()
}
