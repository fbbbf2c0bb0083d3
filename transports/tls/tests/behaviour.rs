//! The behaviour suite over TLS: on TCP, on Unix sockets, in memory, and on TLS. tests/tls_io_uring
//! runs it over TCP on glommio and monoio.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod client;
mod over_tcp;

use anyport_core::{
    runtime::Tokio,
    transport::{Endpoint, UnixName},
};
use anyport_memory::{Memory, MemoryConnector, MemoryStream};
use anyport_tcp::{Tcp, TcpPerCore};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use anyport_tls::{Tls, TlsExt};
use anyport_unix::Unix;
use client::{Authority, Client, LazyTls};
use over_tcp::{InnerTransport, OverTcp};
use std::{
    collections::HashMap,
    io,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// TCP on the ambient tokio.
struct Ambient;

impl InnerTransport for Ambient {
    const NAME: &str = "tls-tcp";
    type Transport = Tcp;

    fn bind() -> Self::Transport {
        Tcp::bind("127.0.0.1:0")
    }
}

/// TCP on a tokio per core.
struct PerCore;

impl InnerTransport for PerCore {
    const NAME: &str = "tls-tcp-per-core";
    type Transport = TcpPerCore;

    fn bind() -> Self::Transport {
        Tcp::bind("127.0.0.1:0").per_core().with_workers(2)
    }
}

struct OverUnix {
    authority: Arc<Authority>,
    folder: TempDir,
}

impl Subject for OverUnix {
    const NAME: &str = "tls-unix";
    type Transport = Tls<Unix>;
    type Stream = LazyTls<UnixStream>;

    fn transport(&self) -> Self::Transport {
        let folder = tempfile::tempdir_in(&self.folder).unwrap().keep();
        Unix::bind(folder.join("s")).tls(self.authority.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.authority.client().connect(unix(endpoint).await?).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.authority
            .h2_client()
            .connect(unix(endpoint).await?)
            .await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(self
            .authority
            .client()
            .connect_lazily(unix(endpoint).await?))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}

async fn unix(endpoint: &Endpoint) -> io::Result<UnixStream> {
    match endpoint {
        Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The connector of each in-memory transport, by its endpoint.
#[derive(Default)]
struct Connectors(Mutex<HashMap<Endpoint, MemoryConnector>>);

impl Connectors {
    fn memory(&self) -> Memory<Tokio> {
        let memory = Memory::new();
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

/// TLS in memory.
struct OverMemory(Arc<Authority>, Connectors);

impl Subject for OverMemory {
    const NAME: &str = "tls-memory";
    type Transport = Tls<Memory<Tokio>>;
    type Stream = LazyTls<MemoryStream>;

    fn transport(&self) -> Self::Transport {
        self.1.memory().tls(self.0.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.client().connect(self.1.connect(endpoint)?).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        self.0.h2_client().connect(self.1.connect(endpoint)?).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(self.0.client().connect_lazily(self.1.connect(endpoint)?))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}

/// TLS over TLS in memory.
struct OverTls(Arc<Authority>, Connectors);

impl Subject for OverTls {
    const NAME: &str = "tls-tls-memory";
    type Transport = Tls<Tls<Memory<Tokio>>>;
    type Stream = LazyTls<LazyTls<MemoryStream>>;

    fn transport(&self) -> Self::Transport {
        self.1.memory().tls(self.0.server()).tls(self.0.server())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let client: Client = self.0.client();
        let inner = client.connect(self.1.connect(endpoint)?).await?;
        client.connect(inner).await
    }

    async fn connect_h2(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let client: Client = self.0.client();
        let inner = client.connect(self.1.connect(endpoint)?).await?;
        self.0.h2_client().connect(inner).await
    }

    async fn connect_lazily(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        let client = self.0.client();
        Ok(client.connect_lazily(client.connect_lazily(self.1.connect(endpoint)?)))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::PortZero)
    }
}

fn main() -> ExitCode {
    let authority = Arc::new(Authority::new());
    Suite::new()
        .with(OverTcp::<Ambient>::new(&authority))
        .with_local(OverTcp::<PerCore>::new(&authority))
        .with(OverUnix {
            authority: Arc::clone(&authority),
            folder: tempfile::tempdir().unwrap(),
        })
        .with(OverMemory(Arc::clone(&authority), Connectors::default()))
        .with(OverTls(authority, Connectors::default()))
        .run()
}
