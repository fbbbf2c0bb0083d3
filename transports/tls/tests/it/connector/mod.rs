//! The TLS connector against anyport's own TLS servers.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod certificates;
mod config;
mod session;

use crate::{
    client::{Authority, Identity},
    fixture::{TestServer, over_tcp},
};
use anyport_core::transport::{Connector, Target};
use anyport_tcp::TcpConnector;
use anyport_tls::{
    Roots, TlsClientConfig, TlsConfig, TlsConnection, TlsConnector, TlsConnectorExt,
    rustls::ClientConnection,
};
use std::io;

type Connection = TlsConnection<anyport_tcp::TcpConnection, ClientConnection>;

fn serve(config: TlsConfig) -> TestServer {
    TestServer::start(over_tcp(config))
}

fn serve_identity(identity: &Identity) -> TestServer {
    serve(identity.server())
}

fn trusting(authority: &Authority) -> TlsClientConfig {
    TlsClientConfig::new(Roots::pem(authority.root_pem()))
}

fn connector(config: TlsClientConfig) -> TlsConnector<TcpConnector> {
    TcpConnector::new().tls(config).unwrap()
}

/// The address of the server, under this name.
fn target(server: &TestServer, host: Option<&str>) -> Target {
    let target = Target::new(server.addr());
    match host {
        Some(host) => target.with_host(host),
        None => target,
    }
}

fn connect(
    server: &TestServer,
    config: TlsClientConfig,
    host: Option<&str>,
) -> io::Result<Connection> {
    let (connector, target) = (connector(config), target(server, host));
    server.run(async { connector.connect(&target).await?.await })
}

/// The text of an error, after the target.
#[track_caller]
fn refusal(server: &TestServer, config: TlsClientConfig, host: Option<&str>) -> String {
    let error = connect(server, config, host).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let text = error.to_string();
    let begin = format!("cannot connect to {}: ", target(server, host));
    text.strip_prefix(&begin)
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}
