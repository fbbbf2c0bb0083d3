//! How long it takes to connect to a host whose first address is dead: SYNs to it are dropped.
//! `cargo bench -p anyport-connect` prints a row for each runtime.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a bench that fails says where")]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use anyport_core::{
    Runtime,
    runtime::{SharedTimer, TokioPerCore, block_on},
    transport::Connector,
};
use anyport_glommio::{GlommioConnector, GlommioPerCore};
use anyport_monoio::{MonoioConnector, MonoioPerCore};
use anyport_tcp::TcpConnector;
use fixture::{ALIVE, DEAD, Loopback, host};
use std::time::{Duration, Instant};

const TIMES: usize = 20;

/// The time of each, in order.
async fn measure<C: Connector>(connector: C, timer: SharedTimer, port: u16) -> Vec<Duration> {
    let host = host(connector, timer, &[DEAD, ALIVE]);
    let mut all = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        host.connect("host.test", port).await.unwrap();
        all.push(start.elapsed());
    }
    all.sort();
    all
}

fn print(runtime: &str, measured: anyport_core::Result<Vec<Duration>>) {
    match measured {
        Ok(all) => {
            let millis = |index: usize| all[index].as_secs_f64() * 1000.0;
            let (median, most) = (millis(TIMES / 2), millis(TIMES - 1));
            println!(
                "| {runtime:<7} | {:>6.1} | {median:>6.1} | {most:>6.1} |",
                millis(0)
            );
        }
        Err(error) => println!("| {runtime:<7} | {error} |"),
    }
}

fn main() {
    let loopback = Loopback::new();
    let port = loopback.port;
    println!("connected after ms, {TIMES} times");
    println!("| runtime |  least | median |   most |");
    println!("|---------|--------|--------|--------|");
    let run = move || measure(TcpConnector::new(), TokioPerCore::current().timer(), port);
    print("tokio", block_on::<TokioPerCore, _>(None, run));
    let run = move || {
        measure(
            MonoioConnector::new(),
            MonoioPerCore::current().timer(),
            port,
        )
    };
    print("monoio", block_on::<MonoioPerCore, _>(None, run));
    let run = move || {
        measure(
            GlommioConnector::new(),
            GlommioPerCore::current().timer(),
            port,
        )
    };
    print("glommio", block_on::<GlommioPerCore, _>(None, run));
}
