//! Connections that keep a server busy: as much as it can bear, and no more.

use crate::connection::{Client, Connection};
use crate::run::{Run, runtime, watched};
use crate::{Amount, Effort, Outcome, Patience, tls};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// What the connections do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each asks again as soon as it is answered.
    KeepAlive(Workload),
    /// Each asks for plain text once, says that it is the last request, and counts when the server
    /// has closed it. So it's the server that closes first, and its TIME_WAIT takes none of this
    /// machine's client ports, which else would be used up in seconds.
    Churn,
    /// Each makes a TLS handshake and goes.
    Handshakes(Handshake),
}

/// How a handshake begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With nothing known: the server signs.
    Full,
    /// With a ticket of an earlier connection (RFC 8446 2.2), and a new key exchange: nobody signs.
    Resumed,
}

/// Connections, of which none has a request in flight between two [`run`](Self::run)s.
#[derive(Debug)]
pub struct Load {
    runtime: Runtime,
    client: Client,
    lanes: Vec<Lane>,
    patience: Patience,
}

/// A connection that's kept, or where one follows another.
struct Lane {
    kind: Lasting,
    /// Whether it was answered in time, since that was last asked.
    is_served: bool,
}

enum Lasting {
    Kept(Connection),
    Churn,
    /// Holds this lane's tickets, so that no other lane takes them.
    Handshakes(Handshake, Arc<ClientConfig>),
}

impl Load {
    /// Opens what is kept, and looks whether the server plays along.
    ///
    /// # Errors
    ///
    /// When it doesn't, or not in time.
    pub fn connect(
        address: &Address,
        kind: Kind,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let workload = match kind {
            Kind::KeepAlive(workload) => workload,
            _ => Workload::Plaintext,
        };
        let mut load = Self {
            runtime: runtime()?,
            client: Client::new(address, workload)?,
            lanes: Vec::new(),
            patience: patience.clone(),
        };
        for index in 0..connections {
            let kind = match kind {
                Kind::KeepAlive(_) => Lasting::Kept(load.open(index, connections)?),
                Kind::Churn => Lasting::Churn,
                Kind::Handshakes(of) => Lasting::Handshakes(Handshake::Full, tickets(of)?),
            };
            let is_served = false;
            load.lanes.push(Lane { kind, is_served });
        }
        match kind {
            Kind::KeepAlive(_) => {}
            Kind::Churn => drop(load.run(Amount::Requests(1))?),
            Kind::Handshakes(handshake) => {
                // Resumed ones take a full one to begin with, in each lane.
                load.run(Amount::Requests(connections as u64))?;
                for lane in &mut load.lanes {
                    if let Lasting::Handshakes(known, _) = &mut lane.kind {
                        *known = handshake;
                    }
                }
            }
        }
        Ok(load)
    }

    fn open(&self, index: usize, connections: usize) -> anyhow::Result<Connection> {
        let opening = async { self.client.open(self.client.connect().await?).await };
        let silent = || "the server doesn't open it".to_owned();
        let opened = (self.runtime).block_on(watched(&self.patience, || 0, silent, opening));
        opened.with_context(|| format!("connection {} of {connections}", index + 1))
    }

    /// Asks, until all that was sent is answered.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends or doesn't end, or the server is silent for too
    /// long. The load is of no use then.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<Outcome> {
        let effort = Effort::measure();
        let (run, all) = (Run::new(amount), self.lanes.len());
        let silent = || run.complaint(all);
        let mut lanes = Vec::with_capacity(all);
        let work = async {
            let mut tasks = JoinSet::new();
            for (index, mut lane) in self.lanes.drain(..).enumerate() {
                let (run, client) = (Arc::clone(&run), self.client.clone());
                tasks.spawn(async move {
                    let was_served = lane.is_served;
                    lane.is_served = false;
                    while run.begin() {
                        let done = lane.go(&client, &run).await;
                        done.with_context(|| format!("connection {} of {all}", index + 1))?;
                        run.finish();
                        // Who was asked at all is to be answered in time.
                        lane.is_served |= !run.is_over();
                    }
                    let is_starved = !lane.is_served && matches!(amount, Amount::For(_));
                    lane.is_served |= was_served;
                    Ok::<_, anyhow::Error>((lane, is_starved))
                });
            }
            let mut starved = 0;
            while let Some(ended) = tasks.join_next().await {
                let (lane, is_starved) = ended??;
                lanes.push(lane);
                starved += usize::from(is_starved);
            }
            Ok(starved)
        };
        let watched = watched(&self.patience, || run.count(), silent, work);
        let starved = self.runtime.block_on(watched)?;
        self.lanes = lanes;
        Ok(Outcome {
            count: run.count(),
            starved,
            effort: effort(),
        })
    }

    /// How many connections had no answer in time in any of the [`run`](Self::run)s since this was
    /// last asked.
    pub fn starved(&mut self) -> usize {
        let lanes = self.lanes.iter_mut();
        lanes
            .filter_map(|lane| (!std::mem::take(&mut lane.is_served)).then_some(()))
            .count()
    }
}

impl Lane {
    async fn go(&mut self, client: &Client, run: &Run) -> anyhow::Result<()> {
        match &mut self.kind {
            Lasting::Kept(connection) => connection.exchange(&client.request).await,
            Lasting::Churn => {
                let mut connection = client.open(client.connect().await?).await?;
                run.expect_or("answered nothing");
                connection.exchange(&client.last_request).await?;
                run.expect_or(
                    "didn't close a connection, though the last request said `Connection: close`",
                );
                connection.end().await
            }
            Lasting::Handshakes(handshake, config) => {
                run.expect_or("made no handshake");
                let stream = client.connect().await?;
                let mut stream = tls::shake_hands(config, stream).await?;
                run.expect_or("sent no ticket");
                tls::check_and_go(&mut stream, *handshake).await
            }
        }
    }
}

fn tickets(handshake: Handshake) -> anyhow::Result<Arc<ClientConfig>> {
    /// More than a server gives out at once, which is two by default.
    const TICKETS: usize = 8;
    tls::config(match handshake {
        Handshake::Full => Resumption::disabled(),
        Handshake::Resumed => Resumption::in_memory_sessions(TICKETS),
    })
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
