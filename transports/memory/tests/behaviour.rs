//! The behaviour suite over connections in memory: on the ambient tokio, and on a tokio per core.
use anyport_core::{
    Runtime,
    runtime::{Tokio, TokioPerCore},
    transport::Endpoint,
};
use anyport_memory::{Memory, MemoryConnector, MemoryStream};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use std::{
    collections::HashMap,
    io,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

/// The connector of each transport, by its endpoint.
#[derive(Default)]
struct Connectors(Mutex<HashMap<Endpoint, MemoryConnector>>);

impl Connectors {
    fn add<R: Runtime>(&self, memory: Memory<R>) -> Memory<R> {
        let connector = memory.connector();
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.insert(connector.endpoint().clone(), connector);
        memory
    }

    fn connect(&self, endpoint: &Endpoint) -> io::Result<MemoryStream> {
        let connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors
            .get(endpoint)
            .ok_or(io::ErrorKind::NotFound)?
            .connect()
    }
}

struct Ambient(Connectors);
struct PerCore(Connectors);

impl Subject for Ambient {
    const NAME: &str = "memory";
    type Transport = Memory<Tokio>;
    type Stream = MemoryStream;

    fn transport(&self) -> Memory<Tokio> {
        self.0.add(Memory::new())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<MemoryStream> {
        self.0.connect(endpoint)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}

impl Subject for PerCore {
    const NAME: &str = "memory-per-core";
    type Transport = Memory<TokioPerCore>;
    type Stream = MemoryStream;

    fn transport(&self) -> Memory<TokioPerCore> {
        self.0.add(Memory::new().per_core().with_workers(2))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<MemoryStream> {
        self.0.connect(endpoint)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}

fn main() -> ExitCode {
    Suite::new()
        .with(Ambient(Connectors::default()))
        .with_local(PerCore(Connectors::default()))
        .run()
}
