//! The behaviour suite over the wrapper of the example `latency`: a slow transport passes it, with
//! longer waits.

#[path = "../latency.rs"]
#[expect(dead_code, reason = "the `main` of the program is not called")]
mod example;

use anyport::{
    Connection, Tcp,
    transport::{Endpoint, Intercepted, MapConnection, MapFn},
};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use example::Latency;
use std::{io, process::ExitCode, time::Duration};
use tokio::net::TcpStream;

/// Long for many thousand round trips, and short for a test.
const DELAY: Duration = Duration::from_millis(5);

/// Gives the wrapped transport a name.
#[derive(Clone)]
struct Late;

impl<C: Connection> MapFn<C> for Late {
    type Output = Intercepted<C, Latency>;

    fn map(&self, inner: C) -> Self::Output {
        Intercepted::new(inner, Latency::new(DELAY))
    }
}

struct LateTcp;

impl Subject for LateTcp {
    const NAME: &str = "latency";
    type Transport = MapConnection<Tcp, Late>;
    type Stream = TcpStream;

    fn transport(&self) -> Self::Transport {
        MapConnection::new(tcp(), Late)
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        let address = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_zero_linger()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all().without(Capability::LowLatency)
    }
}

fn tcp() -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

fn main() -> ExitCode {
    Suite::new()
        .with_wrapper(LateTcp, tcp, |inner| MapConnection::new(inner, Late))
        .run()
}
