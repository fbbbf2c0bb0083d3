use anyport::transport::{Endpoint, UnixName};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use own_transport::UnixSocket;
use std::{
    env, io,
    process::{self, ExitCode},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::net::UnixStream;

static LAST: AtomicUsize = AtomicUsize::new(0);

struct Unix;

impl Subject for Unix {
    const NAME: &str = "own";
    type Transport = UnixSocket;
    type Stream = UnixStream;

    /// A transport at an address that nothing else uses, because tests run concurrently.
    fn transport(&self) -> UnixSocket {
        let name = format!("own-{}-{}.sock", process::id(), LAST.fetch_add(1, Relaxed));
        UnixSocket(env::temp_dir().join(name))
    }

    /// The client's end of a connection.
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

fn main() -> ExitCode {
    Suite::new().with(Unix).run()
}
