//! Connections that are only there: what a server pays for them is its memory per connection.

use crate::Patience;
use crate::connection::{Bytes, Client, Connection};
use crate::run::{runtime, watched};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::cell::Cell;
use tokio::runtime::Runtime;

/// Connections that say nothing, unless they're told to.
pub struct Crowd {
    runtime: Runtime,
    client: Client,
    silent: Vec<Box<dyn Bytes>>,
    open: Vec<Connection>,
    patience: Patience,
}

impl Crowd {
    /// Opens all connections, and sends nothing.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(
        address: &Address,
        workload: Workload,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let mut crowd = Self {
            runtime: runtime()?,
            client: Client::new(address, workload)?,
            silent: Vec::new(),
            open: Vec::new(),
            patience: patience.clone(),
        };
        crowd.each(async |crowd, count| {
            for _ in 0..connections {
                crowd.silent.push(crowd.client.connect().await?);
                count.set(count.get() + 1);
            }
            Ok(())
        })?;
        Ok(crowd)
    }

    /// The TLS handshake and the upgrade of each connection, where there are such and they have not
    /// been made, one after the other.
    ///
    /// # Errors
    ///
    /// When one fails, or takes too long.
    pub fn open_each(&mut self) -> anyhow::Result<()> {
        self.each(async |crowd, count| {
            for stream in std::mem::take(&mut crowd.silent) {
                crowd.open.push(crowd.client.open(stream).await?);
                count.set(count.get() + 1);
            }
            Ok(())
        })
    }

    /// One request on each connection, one after the other.
    ///
    /// # Errors
    ///
    /// When one isn't answered well, or not in time.
    pub fn ask_each(&mut self) -> anyhow::Result<()> {
        self.open_each()?;
        self.each(async |crowd, count| {
            for connection in &mut crowd.open {
                connection.exchange(&crowd.client.request).await?;
                count.set(count.get() + 1);
            }
            Ok(())
        })
    }

    /// Does something with all of them, which counts each.
    fn each(
        &mut self,
        work: impl AsyncFnOnce(&mut Self, &Cell<u64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // It's not watched over what it changes.
        let runtime = std::mem::replace(&mut self.runtime, runtime()?);
        let (count, patience) = (Cell::new(0), self.patience.clone());
        let silent = || "the server said nothing".to_owned();
        let done = runtime.block_on(watched(
            &patience,
            || count.get(),
            silent,
            work(self, &count),
        ));
        self.runtime = runtime;
        done.with_context(|| format!("connection {}", count.get() + 1))
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd").finish_non_exhaustive()
    }
}
