//! TLS over a connector for TCP, on any runtime, for the suite.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::Authority;
use anyport_core::{
    Result,
    transport::{Connector, Endpoint, Target, UnixName},
};
use anyport_testkit::connectors::{ConnectorSubject, PeerStream, Peers, TcpPeers};
use anyport_tls::{
    Provider, Roots, TlsClientConfig, TlsConnector, TlsConnectorExt, rustls::ServerConfig,
};
use std::{any::Any, future::Future, io, marker::PhantomData, path::Path, sync::Arc};
use tokio_rustls::TlsAcceptor;

/// A connector for TCP, for TLS to run over.
pub(crate) trait InnerConnector: Send + Sync + 'static {
    const NAME: &str;
    type Connector: Connector;

    fn connector() -> Self::Connector;

    /// As [`ConnectorSubject::run`].
    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static;

    /// As [`ConnectorSubject::unavailable`].
    fn missing() -> Option<String> {
        None
    }
}

pub(crate) struct ConnectOverTcp<B> {
    config: TlsClientConfig,
    acceptor: TlsAcceptor,
    inner: PhantomData<B>,
}

impl<B> ConnectOverTcp<B> {
    pub(crate) fn new(authority: &Authority) -> Self {
        let server = authority.localhost();
        let acceptor = ServerConfig::builder_with_provider(Provider::Ring.rustls())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![server.der.clone()], server.key_der.clone_key())
            .unwrap();
        Self {
            config: TlsClientConfig::new(Roots::pem(authority.root_pem())),
            acceptor: TlsAcceptor::from(Arc::new(acceptor)),
            inner: PhantomData,
        }
    }
}

/// The server's half is that of tokio-rustls.
pub(crate) struct TlsPeers {
    inner: TcpPeers,
    acceptor: TlsAcceptor,
}

impl Peers for TlsPeers {
    fn target(&self) -> Target {
        self.inner.target().with_host("localhost")
    }

    async fn accept(&mut self) -> io::Result<(Box<dyn PeerStream>, Endpoint)> {
        let stream = self.inner.accept_stream().await?;
        let client = stream.peer_addr()?.into();
        Ok((Box::new(self.acceptor.accept(stream).await?), client))
    }

    async fn accept_silently(&mut self) -> io::Result<Box<dyn PeerStream>> {
        Ok(Box::new(self.inner.accept_stream().await?))
    }
}

impl<B: InnerConnector> ConnectorSubject for ConnectOverTcp<B> {
    const NAME: &str = B::NAME;
    type Connector = TlsConnector<B::Connector>;
    type Peers = TlsPeers;

    async fn listen(&self) -> io::Result<TlsPeers> {
        Ok(TlsPeers {
            inner: TcpPeers::listen().await?,
            acceptor: self.acceptor.clone(),
        })
    }

    fn connector(&self, _: &Target) -> Self::Connector {
        B::connector().tls(self.config.clone()).unwrap()
    }

    fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static,
    {
        B::run(make)
    }

    fn refusing(&self) -> Target {
        TcpPeers::refusing().with_host("localhost")
    }

    fn unsupported(&self) -> Target {
        let endpoint = match B::NAME {
            "tls-tcp" => UnixName::Path(Path::new("/run/app.sock").into()).into(),
            _ => Endpoint::custom("vsock:3:9"),
        };
        Target::new(endpoint).with_host("localhost")
    }

    #[cfg(target_os = "linux")]
    fn silent(&self) -> Option<(Target, Box<dyn Any + Send>)> {
        anyport_testkit::connectors::SilentListener::with_target()
    }

    fn has_handshake(&self) -> bool {
        true
    }

    fn unavailable(&self) -> Option<String> {
        B::missing()
    }
}
