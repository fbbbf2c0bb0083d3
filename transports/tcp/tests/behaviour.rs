//! The behaviour suite over TCP: on the ambient tokio, and on a tokio per core.
use anyport_core::transport::Endpoint;
use anyport_tcp::{Tcp, TcpPerCore};
use anyport_testkit::{Subject, Suite};
use std::{io, process::ExitCode};
use tokio::net::TcpStream;

struct Ambient;
struct PerCore;

impl Subject for Ambient {
    const NAME: &str = "tcp";
    type Transport = Tcp;
    type Stream = TcpStream;

    fn transport(&self) -> Tcp {
        Tcp::bind("127.0.0.1:0")
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        connect(endpoint).await
    }

    fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_zero_linger()
    }
}

impl Subject for PerCore {
    const NAME: &str = "tcp-per-core";
    type Transport = TcpPerCore;
    type Stream = TcpStream;

    fn transport(&self) -> TcpPerCore {
        Tcp::bind("127.0.0.1:0").per_core().with_workers(2)
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        connect(endpoint).await
    }

    fn reset_on_drop(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_zero_linger()
    }
}

async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn main() -> ExitCode {
    Suite::new().with(Ambient).with_local(PerCore).run()
}
