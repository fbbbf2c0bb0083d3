//! The behaviour suite for connectors, over Unix sockets on tokio.
#![cfg(unix)]
use anyport_core::{
    Result,
    runtime::{TokioPerCore, block_on},
    transport::Target,
};
use anyport_testkit::connectors::{ConnectorSubject, ConnectorSuite, UnixPeers};
use anyport_unix::UnixConnector;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tempfile::TempDir;

/// A folder with a path for each listener.
struct OverUnix(TempDir, AtomicUsize);

impl OverUnix {
    fn next(&self) -> std::path::PathBuf {
        self.0.path().join(self.1.fetch_add(1, Relaxed).to_string())
    }
}

impl ConnectorSubject for OverUnix {
    const NAME: &str = "unix";
    type Connector = UnixConnector;
    type Peers = UnixPeers;

    async fn listen(&self) -> io::Result<UnixPeers> {
        UnixPeers::bind(&self.next())
    }

    fn connector(&self, _: &Target) -> UnixConnector {
        UnixConnector::new()
    }

    fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<TokioPerCore, _>(None, make)
    }

    fn refusing(&self) -> Target {
        UnixPeers::refusing(&self.next())
    }

    fn unsupported(&self) -> Target {
        Target::new(SocketAddr::from(([127, 0, 0, 1], 1)))
    }
}

fn main() -> io::Result<ExitCode> {
    let over_unix = OverUnix(TempDir::new()?, AtomicUsize::new(0));
    Ok(ConnectorSuite::new().with(over_unix).run())
}
