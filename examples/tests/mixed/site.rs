//! A server of several parts, running or about to.
use crate::{
    app::{Signals, app},
    client::Client,
    parts::{Dial, PARTS, Part},
};
use anyport::{Handle, Server};
use tempfile::TempDir;

/// A server that isn't started yet.
pub(crate) struct Plan {
    pub(crate) server: Server,
    pub(crate) signals: Signals,
    pub(crate) folder: TempDir,
    parts: Vec<(&'static str, Dial)>,
}

/// A running server, and a way to each of its parts.
pub(crate) struct Site {
    pub(crate) handle: Handle,
    pub(crate) signals: Signals,
    parts: Vec<(&'static str, Dial)>,
    _folder: TempDir,
}

impl Plan {
    /// Of all parts.
    pub(crate) fn of_all() -> Self {
        Self::of(PARTS)
    }

    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a Part>) -> Self {
        let (folder, signals) = (TempDir::new().unwrap(), Signals::new());
        let (mut server, mut dials) = (None, Vec::new());
        for part in parts {
            let app = app(part.name, signals.clone());
            let (with_part, dial) = (part.add)(server.take(), folder.path(), app);
            server = Some(with_part);
            dials.push((part.name, dial));
        }
        Self {
            server: server.unwrap(),
            signals,
            folder,
            parts: dials,
        }
    }

    pub(crate) fn map(self, change: impl FnOnce(Server) -> Server) -> Self {
        let server = change(self.server);
        Self { server, ..self }
    }

    pub(crate) fn start(self) -> Site {
        Site {
            handle: self.server.start().unwrap(),
            signals: self.signals,
            parts: self.parts,
            _folder: self.folder,
        }
    }
}

impl Site {
    /// How many parts it has.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    pub(crate) async fn connect(&self, part: usize) -> Client {
        self.parts[part]
            .1
            .connect(&self.handle.endpoints()[part])
            .await
    }

    /// A connection to each part, and its name.
    pub(crate) async fn connect_all(&self) -> Vec<(&'static str, Client)> {
        let mut clients = Vec::new();
        for (part, (name, _)) in self.parts.iter().enumerate() {
            clients.push((*name, self.connect(part).await));
        }
        clients
    }
}
