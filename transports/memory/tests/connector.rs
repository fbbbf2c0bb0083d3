//! The behaviour suite for connectors, in memory.
use anyport_core::{
    Connection, Listener, Result, Transport,
    runtime::{TokioPerCore, Worker, block_on},
    transport::{Endpoint, Target},
};
use anyport_memory::{Memory, MemoryConnector, MemoryListener};
use anyport_testkit::connectors::{ConnectorSubject, ConnectorSuite, PeerStream, Peers};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

/// The connector of each transport, by its endpoint.
#[derive(Default)]
struct InMemory(Mutex<HashMap<Endpoint, MemoryConnector>>);

struct MemoryPeers {
    listener: MemoryListener,
    target: Target,
}

impl Peers for MemoryPeers {
    fn target(&self) -> Target {
        self.target.clone()
    }

    async fn accept(&mut self) -> io::Result<(Box<dyn PeerStream>, Endpoint)> {
        let accepted = poll_fn(|cx| self.listener.poll_accept(cx)).await?;
        let connection = accepted.handshake.await?;
        let client = connection.info().peer().clone();
        Ok((Box::new(TokioIo::new(connection)), client))
    }
}

impl InMemory {
    fn remember(&self, connector: MemoryConnector) -> Target {
        let endpoint = connector.endpoint().clone();
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.insert(endpoint.clone(), connector);
        Target::new(endpoint)
    }
}

impl ConnectorSubject for InMemory {
    const NAME: &str = "memory";
    type Connector = MemoryConnector;
    type Peers = MemoryPeers;

    async fn listen(&self) -> io::Result<MemoryPeers> {
        let memory = Memory::new();
        let socket = memory.open(1).map_err(io::Error::other)?.remove(0);
        let listener = memory.listen(socket, &Worker::new(0, 1))?;
        let target = self.remember(memory.connector());
        Ok(MemoryPeers { listener, target })
    }

    fn connector(&self, target: &Target) -> MemoryConnector {
        let connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match connectors.get(target.endpoint()) {
            Some(connector) => connector.clone(),
            None => Memory::new().connector(),
        }
    }

    fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<TokioPerCore, _>(None, make)
    }

    fn refusing(&self) -> Target {
        self.remember(Memory::new().connector())
    }

    fn unsupported(&self) -> Target {
        Target::new(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn reports_readiness(&self) -> bool {
        false
    }

    fn has_descriptors(&self) -> bool {
        false
    }
}

fn main() -> ExitCode {
    ConnectorSuite::new().with(InMemory::default()).run()
}
