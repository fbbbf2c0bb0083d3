//! Connections that keep a server as busy as it can be.

use crate::connection::{Connection, Connector};
use crate::run::{Run, runtime, with_timeout};
use crate::{Amount, CpuUse, Load, Outcome, Timeout, tls};
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// What each client does, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sends a request on its connection as soon as it has the response to the last one.
    KeepAlive(Workload),
    /// Connects, requests plain text with `Connection: close`, and waits for the server to close.
    /// So the server has the TIME_WAIT, and the client's ports are not used up within seconds.
    Churn,
    /// Connects, makes a TLS handshake and closes.
    Handshakes(Handshake),
}

/// How a handshake begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// With nothing: the server signs.
    Full,
    /// With a ticket of an earlier connection (RFC 8446 2.2) and a new key exchange, without a
    /// signature.
    Resumed,
}

/// Clients, none of which has a request in flight between two [`run`](Self::run)s.
#[derive(Debug)]
pub struct Clients {
    runtime: Runtime,
    connector: Connector,
    clients: Vec<Client>,
    /// What the server did not do, if it sends nothing for too long.
    timeout_reason: &'static str,
    timeout: Timeout,
}

/// A connection that is kept, or one after the other.
#[derive(Debug)]
struct Client {
    connection: ClientConnection,
    /// Whether it had a response in time since [`Load::take_starved`].
    has_response: bool,
}

#[derive(Debug)]
enum ClientConnection {
    KeptAlive(Connection),
    Churn,
    /// The configuration holds this client's tickets, which no other client uses.
    Handshakes(Handshake, Arc<ClientConfig>),
}

impl Clients {
    /// Opens the connections that are kept. Of others, it makes one for a try.
    ///
    /// # Errors
    ///
    /// When the server does something unexpected, or nothing in time.
    pub fn connect(
        address: &Address,
        kind: Kind,
        clients: usize,
        timeout: &Timeout,
    ) -> anyhow::Result<Self> {
        let workload = match kind {
            Kind::KeepAlive(workload) => workload,
            _ => Workload::Plaintext,
        };
        let mut load = Self {
            runtime: runtime()?,
            connector: Connector::new(address, workload)?,
            clients: Vec::new(),
            timeout_reason: match kind {
                Kind::KeepAlive(_) => "answered nothing",
                Kind::Churn => "did not answer `Connection: close` and close",
                Kind::Handshakes(_) => "did not make a handshake and send a ticket",
            },
            timeout: timeout.clone(),
        };
        for index in 0..clients {
            let connection = match kind {
                Kind::KeepAlive(_) => {
                    let opened = load.connector.open_with(&load.runtime, timeout);
                    let number = index + 1;
                    let opened =
                        opened.with_context(|| format!("connection {number} of {clients}"));
                    ClientConnection::KeptAlive(opened?)
                }
                Kind::Churn => ClientConnection::Churn,
                Kind::Handshakes(of) => {
                    ClientConnection::Handshakes(Handshake::Full, tls_config(of)?)
                }
            };
            load.clients.push(Client {
                connection,
                has_response: false,
            });
        }
        match kind {
            Kind::KeepAlive(_) => {}
            Kind::Churn => drop(load.run(Amount::Requests(1))?),
            Kind::Handshakes(handshake) => {
                // Each client needs a ticket of a full handshake before it can resume one.
                load.run(Amount::Requests(clients as u64))?;
                for client in &mut load.clients {
                    if let ClientConnection::Handshakes(next, _) = &mut client.connection {
                        *next = handshake;
                    }
                }
            }
        }
        Ok(load)
    }

    /// Sends requests, and waits until each has its response.
    ///
    /// # Errors
    ///
    /// When a response is wrong, a connection ends or does not end, or the server sends nothing in
    /// time. The load cannot be used afterwards.
    pub fn run(&mut self, amount: Amount) -> anyhow::Result<Outcome> {
        let cpu = CpuUse::measure();
        let (run, all) = (Run::new(amount), self.clients.len());
        let reason = || {
            let (reason, waiting) = (self.timeout_reason, run.waiting());
            format!("the server {reason}, and {waiting} of {all} connections wait for it")
        };
        let mut clients = Vec::with_capacity(all);
        let work = async {
            let mut tasks = JoinSet::new();
            for (index, mut client) in self.clients.drain(..).enumerate() {
                let (run, connector) = (Arc::clone(&run), self.connector.clone());
                tasks.spawn(async move {
                    while run.begin() {
                        let done = client.request(&connector).await;
                        done.with_context(|| format!("connection {} of {all}", index + 1))?;
                        run.finish();
                        client.has_response |= !run.is_over();
                    }
                    Ok::<_, anyhow::Error>(client)
                });
            }
            while let Some(ended) = tasks.join_next().await {
                clients.push(ended??);
            }
            Ok(())
        };
        let work = with_timeout(&self.timeout, || run.count(), reason, work);
        self.runtime.block_on(work)?;
        self.clients = clients;
        Ok(Outcome {
            count: run.count(),
            cpu: cpu(),
            ..Outcome::default()
        })
    }
}

impl Load for Clients {
    fn run_for(&mut self, duration: Duration) -> anyhow::Result<Outcome> {
        self.run(Amount::For(duration))
    }

    fn take_starved(&mut self) -> usize {
        let clients = self.clients.iter_mut();
        clients
            .map(|client| usize::from(!std::mem::take(&mut client.has_response)))
            .sum()
    }
}

impl Client {
    async fn request(&mut self, connector: &Connector) -> anyhow::Result<()> {
        match &mut self.connection {
            ClientConnection::KeptAlive(connection) => {
                connection.exchange(&connector.request).await
            }
            ClientConnection::Churn => {
                let mut connection = connector.open(connector.connect().await?).await?;
                connection.exchange(&connector.last_request).await?;
                connection.expect_end().await
            }
            ClientConnection::Handshakes(handshake, config) => {
                let stream = connector.connect().await?;
                let mut stream = tls::handshake(config, stream).await?;
                tls::check_and_close(&mut stream, *handshake).await
            }
        }
    }
}

fn tls_config(handshake: Handshake) -> anyhow::Result<Arc<ClientConfig>> {
    /// More than a server sends at once, which is two by default.
    const TICKETS: usize = 8;
    tls::config(match handshake {
        Handshake::Full => Resumption::disabled(),
        Handshake::Resumed => Resumption::in_memory_sessions(TICKETS),
    })
}
