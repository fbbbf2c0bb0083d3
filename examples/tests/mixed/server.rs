//! A server with several transports.
use crate::{
    app::{Signals, app},
    client::Client,
    transports::{Dial, MixedTransport, TRANSPORTS},
};
use anyport::{Handle, Server};
use tempfile::TempDir;

/// A server that is not started.
pub(crate) struct TestServerBuilder {
    pub(crate) server: Server,
    pub(crate) signals: Signals,
    pub(crate) folder: TempDir,
    transports: Vec<(&'static str, Dial)>,
}

/// A running server, and how to connect to each of its transports.
pub(crate) struct TestServer {
    pub(crate) handle: Handle,
    pub(crate) signals: Signals,
    transports: Vec<(&'static str, Dial)>,
    _folder: TempDir,
}

impl TestServerBuilder {
    /// A server with all transports.
    pub(crate) fn all() -> Self {
        Self::of(TRANSPORTS)
    }

    pub(crate) fn of<'a>(transports: impl IntoIterator<Item = &'a MixedTransport>) -> Self {
        let (folder, signals) = (TempDir::new().unwrap(), Signals::new());
        let (mut server, mut dials) = (None, Vec::new());
        for transport in transports {
            let app = app(transport.name, signals.clone());
            let (with_part, dial) = (transport.add)(server.take(), folder.path(), app);
            server = Some(with_part);
            dials.push((transport.name, dial));
        }
        Self {
            server: server.unwrap(),
            signals,
            folder,
            transports: dials,
        }
    }

    pub(crate) fn map(self, change: impl FnOnce(Server) -> Server) -> Self {
        let server = change(self.server);
        Self { server, ..self }
    }

    pub(crate) fn start(self) -> TestServer {
        TestServer {
            handle: self.server.start().unwrap(),
            signals: self.signals,
            transports: self.transports,
            _folder: self.folder,
        }
    }
}

impl TestServer {
    /// The number of transports.
    pub(crate) fn len(&self) -> usize {
        self.transports.len()
    }

    pub(crate) async fn connect(&self, transport: usize) -> Client {
        self.transports[transport]
            .1
            .connect(&self.handle.endpoints()[transport])
            .await
    }

    /// One connection to each transport, with the name of the transport.
    pub(crate) async fn connect_all(&self) -> Vec<(&'static str, Client)> {
        let mut clients = Vec::new();
        for (transport, (name, _)) in self.transports.iter().enumerate() {
            clients.push((*name, self.connect(transport).await));
        }
        clients
    }
}
