//! The behaviour suite over Unix sockets: on the ambient tokio, and on a tokio per core.
#![cfg(unix)]

use anyport_core::transport::{Endpoint, UnixName};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use anyport_unix::{Unix, UnixPerCore};
use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// A path for each test.
struct Paths {
    folder: TempDir,
    given: AtomicUsize,
}

impl Paths {
    fn new() -> io::Result<Self> {
        Ok(Self {
            folder: TempDir::new()?,
            given: AtomicUsize::new(0),
        })
    }

    fn next(&self) -> PathBuf {
        self.folder
            .path()
            .join(self.given.fetch_add(1, Relaxed).to_string())
    }
}

struct Ambient(Paths);
struct PerCore(Paths);

impl Subject for Ambient {
    const NAME: &str = "unix";
    type Transport = Unix;
    type Stream = UnixStream;

    fn transport(&self) -> Unix {
        Unix::bind(self.0.next())
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
        connect(endpoint).await
    }

    fn capabilities(&self) -> Capabilities {
        can()
    }
}

impl Subject for PerCore {
    const NAME: &str = "unix-per-core";
    type Transport = UnixPerCore;
    type Stream = UnixStream;

    fn transport(&self) -> UnixPerCore {
        Unix::bind(self.0.next()).per_core().with_workers(2)
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
        connect(endpoint).await
    }

    fn capabilities(&self) -> Capabilities {
        can()
    }
}

/// Unix sockets have no ports and no reset.
fn can() -> Capabilities {
    Capabilities::all()
        .without(Capability::PortZero)
        .without(Capability::Reset)
}

async fn connect(endpoint: &Endpoint) -> io::Result<UnixStream> {
    match endpoint {
        Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn main() -> io::Result<ExitCode> {
    let (ambient, per_core) = (Ambient(Paths::new()?), PerCore(Paths::new()?));
    Ok(Suite::new().with(ambient).with_local(per_core).run())
}
