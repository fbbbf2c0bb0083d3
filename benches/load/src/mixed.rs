//! The mix of a public server: kept-alive connections with small and with large responses, new
//! connections, and slow readers.

use crate::connection::{Connection, Connector};
use crate::run::{runtime, with_timeout};
use crate::{Amount, Clients, CpuUse, Kind, Load, Outcome, Timeout};
use anyport_bench_child::{Address, Workload};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Requests of one turn. The numbers are fixed, so that a server that is faster at one kind gets no
/// more of it.
const SMALL: u64 = 90;
const LARGE: u64 = 6;
const NEW: u64 = 4;
/// One connection in so many reads slowly.
const SLOW: usize = 10;
/// How many bytes a slow reader reads in each turn.
const SLOW_READ: usize = 16 * 1024;

/// Open connections, all of which each run uses.
#[derive(Debug)]
pub struct Mixed {
    small: Clients,
    large: Clients,
    new: Clients,
    runtime: Runtime,
    connector: Connector,
    slow: Vec<SlowReader>,
    timeout: Timeout,
}

#[derive(Debug)]
struct SlowReader {
    connection: Connection,
    has_request: bool,
}

impl Mixed {
    /// Opens a tenth of the connections as slow readers of 1 MiB, a tenth for 64 KiB, the rest for
    /// plain text. Four new connections at a time come on top.
    ///
    /// # Errors
    ///
    /// When a connection cannot be opened in time.
    pub fn connect(
        address: &Address,
        connections: usize,
        timeout: &Timeout,
    ) -> anyhow::Result<Self> {
        let share = connections.div_ceil(SLOW);
        let small = connections.saturating_sub(2 * share).max(1);
        let load = |kind, connections| Clients::connect(address, kind, connections, timeout);
        let (runtime, connector) = (runtime()?, Connector::new(address, Workload::Download1M)?);
        let slow = (0..share).map(|_| {
            Ok(SlowReader {
                connection: connector.open_with(&runtime, timeout)?,
                has_request: false,
            })
        });
        Ok(Self {
            slow: slow.collect::<anyhow::Result<_>>()?,
            small: load(Kind::KeepAlive(Workload::Plaintext), small)?,
            large: load(Kind::KeepAlive(Workload::Download64K), share)?,
            new: load(Kind::Churn, NEW as usize)?,
            runtime,
            connector,
            timeout: timeout.clone(),
        })
    }

    /// Each slow reader reads once, and sends a request once it has the whole response.
    fn read_slowly(&mut self) -> anyhow::Result<u64> {
        let read = async {
            // So that the runtime learns which of them are readable.
            tokio::task::yield_now().await;
            let mut whole = 0;
            for slow in &mut self.slow {
                if !slow.has_request {
                    slow.connection.send(&self.connector.request).await?;
                }
                let is_whole = slow.connection.read_once(SLOW_READ).await?;
                slow.has_request = !is_whole;
                whole += u64::from(is_whole);
            }
            Ok(whole)
        };
        let reason = || "the server does not read the request of a slow reader".to_owned();
        (self.runtime).block_on(with_timeout(&self.timeout, || 0, reason, read))
    }
}

impl Load for Mixed {
    /// All responses count.
    fn run_for(&mut self, duration: Duration) -> anyhow::Result<Outcome> {
        let cpu = CpuUse::measure();
        let end = Instant::now() + duration;
        let mut count = 0;
        while Instant::now() < end || count == 0 {
            self.timeout.check()?;
            count += self.read_slowly()?;
            count += self.small.run(Amount::Requests(SMALL))?.count;
            count += self.large.run(Amount::Requests(LARGE))?.count;
            count += self.new.run(Amount::Requests(NEW))?.count;
        }
        Ok(Outcome {
            count,
            cpu: cpu(),
            ..Outcome::default()
        })
    }
}
