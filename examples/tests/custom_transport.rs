//! The behaviour suite on the transport of the example `custom_transport`: what a transport of your
//! own has to pass, and how it's told to.
#![cfg(unix)]

#[path = "../custom_transport.rs"]
#[expect(dead_code, reason = "it's a program, whose `main` isn't run here")]
mod example;

use anyport::{Endpoint, UnixName};
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

/// The example's transport, each time at another path of a folder that's removed in the end.
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
