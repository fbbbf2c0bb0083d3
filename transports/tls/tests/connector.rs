//! The behaviour suite for connectors, over TLS over TCP on tokio.
#[path = "client/mod.rs"]
mod client;
mod connect_over_tcp;

use anyport_core::{
    Result,
    runtime::{TokioPerCore, block_on},
};
use anyport_tcp::TcpConnector;
use anyport_testkit::connectors::ConnectorSuite;
use client::Authority;
use connect_over_tcp::{ConnectOverTcp, InnerConnector};
use std::{future::Future, process::ExitCode};

struct OnTokio;

impl InnerConnector for OnTokio {
    const NAME: &str = "tls-tcp";
    type Connector = TcpConnector;

    fn connector() -> TcpConnector {
        TcpConnector::new()
    }

    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<TokioPerCore, _>(None, make)
    }
}

fn main() -> ExitCode {
    let over_tcp = ConnectOverTcp::<OnTokio>::new(&Authority::new());
    ConnectorSuite::new().with(over_tcp).run()
}
