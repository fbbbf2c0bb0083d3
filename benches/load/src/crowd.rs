//! Connections that are only there: what a server pays for them is its memory per connection.

use crate::Patience;
use crate::connection::{Bytes, Client, Connection};
use crate::run::{runtime, watched};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use std::cell::Cell;
use std::rc::Rc;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// How many have something to do at once: one after the other would wait for a busy machine's
/// scheduler as often.
const AT_ONCE: usize = 32;

/// Connections that say nothing, unless they're told to.
pub struct Crowd {
    runtime: Rc<Runtime>,
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
            runtime: Rc::new(runtime()?),
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
    /// been made, some at a time.
    ///
    /// # Errors
    ///
    /// When one fails, or takes too long.
    pub fn open_each(&mut self) -> anyhow::Result<()> {
        self.each(async |crowd, count| {
            let mut silent = std::mem::take(&mut crowd.silent).into_iter();
            loop {
                let mut tasks = JoinSet::new();
                for stream in silent.by_ref().take(AT_ONCE) {
                    let client = crowd.client.clone();
                    tasks.spawn(async move { client.open(stream).await });
                }
                if tasks.is_empty() {
                    return Ok(());
                }
                all(tasks, &mut crowd.open, count).await?;
            }
        })
    }

    /// One request on each connection, some at a time.
    ///
    /// # Errors
    ///
    /// When one isn't answered well, or not in time.
    pub fn ask_each(&mut self) -> anyhow::Result<()> {
        self.open_each()?;
        self.each(async |crowd, count| {
            let mut open = std::mem::take(&mut crowd.open).into_iter();
            loop {
                let mut tasks = JoinSet::new();
                for mut connection in open.by_ref().take(AT_ONCE) {
                    let client = crowd.client.clone();
                    tasks.spawn(async move {
                        connection.exchange(&client.request).await?;
                        Ok(connection)
                    });
                }
                if tasks.is_empty() {
                    return Ok(());
                }
                all(tasks, &mut crowd.open, count).await?;
            }
        })
    }

    /// Does something with all of them, which counts each.
    fn each(
        &mut self,
        work: impl AsyncFnOnce(&mut Self, &Cell<u64>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (runtime, count, patience) = (
            Rc::clone(&self.runtime),
            Cell::new(0),
            self.patience.clone(),
        );
        let silent = || "the server said nothing".to_owned();
        let work = work(self, &count);
        let done = runtime.block_on(watched(&patience, || count.get(), silent, work));
        done.with_context(|| format!("after {} connections", count.get()))
    }
}

/// Waits for all of them.
async fn all(
    mut tasks: JoinSet<anyhow::Result<Connection>>,
    done: &mut Vec<Connection>,
    count: &Cell<u64>,
) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        done.push(ended??);
        count.set(count.get() + 1);
    }
    Ok(())
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd").finish_non_exhaustive()
    }
}
