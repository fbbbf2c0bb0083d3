//! The transport under test, and one run of a case over it.
use crate::peer::Peer;
use anyport_core::{
    Runtime, Server,
    runtime::SharedTimer,
    transport::{Connector, Endpoint, Target},
};
use anyport_ws::{ClientHandshake, HandshakeError, WebSocket};
use http::Response;
use std::{future::Future, path::Path, time::Duration};

/// A transport under test.
pub(crate) trait Subject: 'static {
    const NAME: &str;
    const IS_TLS: bool = false;
    const IS_HTTP2: bool = false;
    /// HTTP/2 without ALPN.
    const IS_PRIOR_KNOWLEDGE: bool = false;

    type Runtime: Runtime;
    type Connector: Connector + Send;

    /// The server, which may listen in this folder, and a connector for it.
    fn server(peer: Peer, folder: &Path) -> (Server, Self::Connector);

    /// Runs the client on a worker of its runtime.
    fn run<F>(make: impl FnOnce() -> F + Send + 'static) -> F::Output
    where
        F: Future<Output: Send + 'static> + 'static;

    /// Why this machine cannot run the cases.
    fn missing() -> Option<String> {
        None
    }
}

/// The client's side of a case, on its worker.
pub(crate) struct Client<S: Subject> {
    target: Target,
    connector: S::Connector,
}

pub(crate) type Opened = Result<(WebSocket, Response<()>), HandshakeError>;

impl<S: Subject> Client<S> {
    pub(crate) fn timer(&self) -> SharedTimer {
        S::Runtime::current().timer()
    }

    pub(crate) fn handshake(&self, path: &str) -> ClientHandshake {
        let scheme = if S::IS_TLS { "wss" } else { "ws" };
        let handshake = ClientHandshake::new(format!("{scheme}://localhost{path}")).unwrap();
        match S::IS_PRIOR_KNOWLEDGE {
            true => handshake.with_http2_prior_knowledge(),
            false => handshake,
        }
    }

    pub(crate) async fn connect(&self) -> <S::Connector as Connector>::Connection {
        let connecting = self.connector.connect(&self.target);
        connecting.await.unwrap().await.unwrap()
    }

    pub(crate) async fn open(&self, handshake: ClientHandshake) -> Opened {
        handshake.open(self.connect().await, self.timer()).await
    }

    pub(crate) async fn echo(&self) -> WebSocket {
        self.open(self.handshake("/echo")).await.unwrap().0
    }
}

/// Runs a client with a server. At the end, the server has no connection left.
pub(crate) async fn with_server<S: Subject, F>(
    peer: Peer,
    case: impl FnOnce(Client<S>) -> F + Send + 'static,
) where
    F: Future<Output = ()> + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let (server, connector) = S::server(peer, folder.path());
    let handle = server.start().unwrap();
    let mut target = Target::new(handle.endpoints()[0].clone());
    if let Endpoint::Tcp(_) = target.endpoint() {
        target = target.with_host("localhost");
    }
    let running = tokio::task::spawn_blocking(|| {
        S::run(move || case(Client { target, connector }));
    });
    tokio::time::timeout(Duration::from_secs(600), running)
        .await
        .unwrap()
        .unwrap();
    let report = handle.shutdown(Duration::from_secs(60)).await.unwrap();
    assert_eq!(report.aborted, 0, "{report}");
}
