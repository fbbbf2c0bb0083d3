//! Idle connections: they cost a server memory only.

use crate::Timeout;
use crate::connection::{Bytes, Connection, Connector};
use crate::run::{runtime, with_timeout};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::cell::Cell;
use std::mem::take;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How many connections are in use at once. One after the other would wait for the scheduler of a
/// busy machine as often as there are connections.
const CONCURRENT: usize = 32;

/// How many connections send their request before a pause. So the most connections that a server
/// has in use at once, whose memory an allocator keeps, depends neither on the number of
/// connections nor on how fast the machine is.
const BATCH: usize = 250;

/// anyport's connections hibernate 5 ms after their only request.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that send nothing but what the methods say.
#[derive(Debug)]
pub struct IdleConnections {
    runtime: Runtime,
    connector: Connector,
    /// Those without a TLS handshake and an upgrade.
    fresh: Vec<Box<dyn Bytes>>,
    open: Vec<Connection>,
    timeout: Timeout,
}

impl IdleConnections {
    /// Connects, and sends nothing.
    ///
    /// # Errors
    ///
    /// When a connection cannot be opened in time.
    pub fn connect(
        address: &Address,
        workload: Workload,
        connections: usize,
        timeout: &Timeout,
    ) -> anyhow::Result<Self> {
        let mut idle = Self {
            runtime: runtime()?,
            connector: Connector::new(address, workload)?,
            fresh: Vec::new(),
            open: Vec::new(),
            timeout: timeout.clone(),
        };
        idle.fresh = idle.all((0..connections).map(|_| idle.connector.connect()))?;
        Ok(idle)
    }

    /// Makes the TLS handshakes and the upgrades that are still to be made.
    ///
    /// # Errors
    ///
    /// When one fails, or takes too long.
    pub fn open(&mut self) -> anyhow::Result<()> {
        let fresh = take(&mut self.fresh).into_iter();
        let open = self.all(fresh.map(|stream| self.connector.open(stream)))?;
        self.open.extend(open);
        Ok(())
    }

    /// Opens the connections, and sends one request on each, in batches.
    ///
    /// # Errors
    ///
    /// When a response is wrong, or does not come in time.
    pub fn request(&mut self) -> anyhow::Result<()> {
        self.open()?;
        let request = async |mut connection: Connection| {
            connection.exchange(&self.connector.request).await?;
            Ok(connection)
        };
        let mut open = take(&mut self.open).into_iter();
        loop {
            let done = self.all(open.by_ref().take(BATCH).map(request))?;
            self.open.extend(done);
            if open.len() == 0 {
                return Ok(());
            }
            self.timeout.sleep(PAUSE)?;
        }
    }

    /// Completes these futures, some at a time.
    fn all<T>(
        &self,
        futures: impl Iterator<Item = impl Future<Output = anyhow::Result<T>>>,
    ) -> anyhow::Result<Vec<T>> {
        let count = Cell::new(0);
        let reason = || "the server sent nothing".to_owned();
        let all = stream::iter(futures)
            .buffer_unordered(CONCURRENT)
            .inspect_ok(|_| count.set(count.get() + 1))
            .try_collect();
        let all = with_timeout(&self.timeout, || count.get(), reason, all);
        let done = self.runtime.block_on(all);
        done.with_context(|| format!("after {} connections", count.get()))
    }
}
