//! PROXY protocol in memory.
use super::{BINARY, begin, begin_if_open};
use anyport_core::{runtime::Tokio, transport::Endpoint};
use anyport_memory::{Memory, MemoryConnector, MemoryStream};
use anyport_proxy_protocol::{Policy, ProxyProtocol, ProxyProtocolExt, Trusted};
use anyport_testkit::{Capabilities, Capability, Subject};
use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
};

/// The connector of each transport that was made, by its endpoint.
#[derive(Default)]
pub(crate) struct OverMemory(Mutex<HashMap<Endpoint, MemoryConnector>>);

impl OverMemory {
    fn open(&self, endpoint: &Endpoint) -> io::Result<MemoryStream> {
        let connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connector = connectors.get(endpoint).ok_or(io::ErrorKind::NotFound)?;
        connector.connect()
    }
}

impl Subject for OverMemory {
    const NAME: &str = "proxy-memory";
    type Transport = ProxyProtocol<Memory<Tokio>>;
    type Stream = MemoryStream;

    fn transport(&self) -> Self::Transport {
        let memory = Memory::new();
        let connector = memory.connector();
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.insert(connector.endpoint().clone(), connector);
        memory.proxy_protocol(Policy::required_from(Trusted::everyone()))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        begin(self.open(endpoint)?, BINARY).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(begin_if_open(self.open(endpoint)?, BINARY).await)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}
