//! The behaviour suite over the transport of the example `custom_transport`: what a transport of
//! your own must pass, and how to run it.
#![cfg(unix)]

#[path = "../custom_transport.rs"]
#[expect(dead_code, reason = "the `main` of the program is not called")]
mod example;

use anyport::transport::{Endpoint, UnixName};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use example::UnixSocket;
use std::{
    io,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// Creates a transport at a new path. The folder is removed at the end.
struct Example {
    folder: PathBuf,
    made: AtomicUsize,
}

impl Subject for Example {
    const NAME: &str = "custom-transport";
    type Transport = UnixSocket;
    type Stream = UnixStream;

    fn transport(&self) -> UnixSocket {
        let name = format!("{}.sock", self.made.fetch_add(1, Relaxed));
        UnixSocket(self.folder.join(name))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<UnixStream> {
        match endpoint {
            Endpoint::Unix(UnixName::Path(path)) => UnixStream::connect(path).await,
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::PortZero)
            .without(Capability::PeerState)
            .without(Capability::RetryWrite)
            .without(Capability::Reset)
            .without(Capability::Stop)
    }
}

fn main() -> io::Result<ExitCode> {
    let folder = TempDir::new()?;
    let example = Example {
        folder: folder.path().to_owned(),
        made: AtomicUsize::new(0),
    };
    Ok(Suite::new().with(example).run())
}
