//! A mix as a public server has it: kept-alive connections with small and with large responses, new
//! connections, and slow readers that hold a response half read.

use crate::connection::{Client, Connection};
use crate::run::{runtime, watched};
use crate::{Amount, Effort, Kind, Load, Outcome, Patience};
use anyport_bench_child::{Address, Workload};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Requests of one turn: whatever a server is fast at, the mix stays the same.
const SMALL: u64 = 90;
const LARGE: u64 = 6;
const NEW: u64 = 4;
/// One connection in so many reads slowly.
const SLOW: usize = 10;
/// What a slow reader takes in each turn.
const SIP: usize = 16 * 1024;

/// Open connections, of which each [`run`](Self::run) uses all.
pub struct Mixed {
    small: Load,
    large: Load,
    new: Load,
    runtime: Runtime,
    client: Client,
    slow: Vec<Slow>,
    patience: Patience,
}

struct Slow {
    connection: Connection,
    is_asking: bool,
}

impl Mixed {
    /// Opens a tenth of the connections as slow readers of 1 MiB, a tenth for 64 KiB, the rest for
    /// plain text. New connections come four at a time.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(
        address: &Address,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let share = connections.div_ceil(SLOW);
        let rest = connections.saturating_sub(2 * share).max(1);
        let load = |kind, connections| Load::connect(address, kind, connections, patience);
        let (runtime, client) = (runtime()?, Client::new(address, Workload::Download1M)?);
        let slow = (0..share).map(|_| {
            let open = async { client.open(client.connect().await?).await };
            let silent = || "the server doesn't open it".to_owned();
            Ok(Slow {
                connection: runtime.block_on(watched(patience, || 0, silent, open))?,
                is_asking: false,
            })
        });
        Ok(Self {
            slow: slow.collect::<anyhow::Result<_>>()?,
            small: load(Kind::KeepAlive(Workload::Plaintext), rest)?,
            large: load(Kind::KeepAlive(Workload::Download64K), share)?,
            new: load(Kind::Churn, NEW as usize)?,
            runtime,
            client,
            patience: patience.clone(),
        })
    }

    /// Takes turns for as long; all responses count.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends, or the server is silent for too long.
    pub fn run(&mut self, duration: Duration) -> anyhow::Result<Outcome> {
        let effort = Effort::measure();
        let end = Instant::now() + duration;
        let mut count = 0;
        while Instant::now() < end || count == 0 {
            self.patience.check()?;
            count += self.sip()?;
            count += self.small.run(Amount::Requests(SMALL))?.count;
            count += self.large.run(Amount::Requests(LARGE))?.count;
            count += self.new.run(Amount::Requests(NEW))?.count;
        }
        Ok(Outcome {
            count,
            starved: 0,
            effort: effort(),
        })
    }

    /// Each slow reader takes a little, and asks again once it has all.
    fn sip(&mut self) -> anyhow::Result<u64> {
        let sip = async {
            // So that the runtime looks which of them have something to read.
            tokio::task::yield_now().await;
            let mut whole = 0;
            for slow in &mut self.slow {
                if !slow.is_asking {
                    slow.connection.send(&self.client.request).await?;
                }
                let is_whole = slow.connection.sip(SIP).await?;
                slow.is_asking = !is_whole;
                whole += u64::from(is_whole);
            }
            Ok(whole)
        };
        let silent = || "the server doesn't read the request of a slow reader".to_owned();
        (self.runtime).block_on(watched(&self.patience, || 0, silent, sip))
    }
}

impl std::fmt::Debug for Mixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixed").finish_non_exhaustive()
    }
}
