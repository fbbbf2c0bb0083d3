//! The behaviour suite over listeners for `axum::serve`: one of axum, and one of anyport.
#![expect(
    clippy::expect_used,
    reason = "a failed precondition ends the test with its line"
)]

use anyport_axum::{AxumListener, AxumTransport, listener, transport};
use anyport_core::transport::Endpoint;
use anyport_tcp::{Tcp, TcpListener};
use anyport_testkit::{Capabilities, Capability, Subject, Suite};
use axum::serve::{ListenerExt as _, TapIo};
use std::{io, net, process::ExitCode};
use tokio::net::TcpStream;

struct AxumTcp;
struct RoundTrip;

type NoDelay = TapIo<tokio::net::TcpListener, fn(&mut TcpStream)>;

impl Subject for AxumTcp {
    const NAME: &str = "axum";
    type Transport = AxumTransport<NoDelay>;
    type Stream = TcpStream;

    fn transport(&self) -> Self::Transport {
        let no_delay: fn(&mut TcpStream) = |stream| {
            // This fails if the client has disconnected already.
            let _ = stream.set_nodelay(true);
        };
        transport(bind().expect("a free port").tap_io(no_delay))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        connect(endpoint).await
    }

    /// axum's streams implement only reads and writes.
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::PeerState)
            .without(Capability::RetryWrite)
            .without(Capability::Reset)
            .without(Capability::Stop)
    }
}

impl Subject for RoundTrip {
    const NAME: &str = "round-trip";
    type Transport = AxumTransport<AxumListener<TcpListener>>;
    type Stream = TcpStream;

    fn transport(&self) -> Self::Transport {
        transport(listener(Tcp::bind("127.0.0.1:0")).expect("a free port"))
    }

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        connect(endpoint).await
    }

    /// axum's streams implement only reads and writes.
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
            .without(Capability::PeerState)
            .without(Capability::RetryWrite)
            .without(Capability::Reset)
            .without(Capability::Stop)
    }
}

fn bind() -> io::Result<tokio::net::TcpListener> {
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let addr = endpoint.socket_addr().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn main() -> ExitCode {
    Suite::new().with(AxumTcp).with(RoundTrip).run()
}
