//! The behaviour suite for connectors, over TCP on tokio.
use anyport_core::{
    Result,
    runtime::{TokioPerCore, block_on},
    transport::{Connector, Endpoint, Target, UnixName},
};
use anyport_tcp::TcpConnector;
use anyport_testkit::connectors::{ConnectorSubject, ConnectorSuite, TcpPeers};
use std::{any::Any, future::Future, io, path::Path, process::ExitCode};

struct OverTcp;

impl ConnectorSubject for OverTcp {
    const NAME: &str = "tcp";
    type Connector = TcpConnector;
    type Peers = TcpPeers;

    async fn listen(&self) -> io::Result<TcpPeers> {
        TcpPeers::listen().await
    }

    fn connector(&self, _: &Target) -> TcpConnector {
        TcpConnector::new()
    }

    fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        block_on::<TokioPerCore, _>(None, make)
    }

    fn refusing(&self) -> Target {
        TcpPeers::refusing()
    }

    fn unsupported(&self) -> Target {
        Target::new(Endpoint::Unix(UnixName::Path(
            Path::new("/run/app.sock").into(),
        )))
    }

    #[cfg(target_os = "linux")]
    fn silent(&self) -> Option<(Target, Box<dyn Any + Send>)> {
        anyport_testkit::connectors::SilentListener::with_target()
    }
}

/// On a work-stealing tokio, tasks that connect are `Send`.
fn _is_send(connector: &TcpConnector, target: &Target) -> impl Send + use<> {
    let connecting = connector.connect(target);
    async { connecting.await?.await }
}

fn main() -> ExitCode {
    ConnectorSuite::new().with(OverTcp).run()
}
