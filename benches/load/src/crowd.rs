//! Connections that are only there: what a server pays for them is its memory per connection.

use crate::Patience;
use crate::connection::Connection;
use crate::conversation::Conversation;
use crate::stream::Connector;
use anyhow::Context as _;
use anyport_bench_child::{Address, Workload};

/// Holds what most responses bring in one read.
const READ_BUFFER: usize = 64 * 1024;

/// Open connections that say nothing, unless they're told to ask.
#[derive(Debug)]
pub struct Crowd {
    connections: Vec<Connection>,
    conversation: Conversation,
    patience: Patience,
}

impl Crowd {
    /// Opens all connections, and sends nothing.
    ///
    /// # Errors
    ///
    /// When one can't be opened in time.
    pub fn connect(
        address: &Address,
        workload: Workload,
        connections: usize,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let connector = Connector::new(address, patience)?;
        let conversation = Conversation::new(address, workload);
        let connections = (0..connections)
            .map(|index| {
                Connection::connect(&connector, &conversation)
                    .with_context(|| format!("connection {} of {connections}", index + 1))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            connections,
            conversation,
            patience: patience.clone(),
        })
    }

    /// The TLS handshake of each connection, one after the other.
    ///
    /// # Errors
    ///
    /// When one fails, or takes too long.
    pub fn shake_hands_each(&mut self) -> anyhow::Result<()> {
        self.each(|connection, _| connection.shake_hands())
    }

    /// One request on each connection, one after the other, and whatever has to come before it: a
    /// handshake, an upgrade.
    ///
    /// # Errors
    ///
    /// When one isn't answered well, or not in time.
    pub fn ask_each(&mut self) -> anyhow::Result<()> {
        let mut buffer = vec![0; READ_BUFFER];
        self.each(|connection, conversation| {
            connection.open(conversation)?;
            connection.ask(&conversation.request, &mut buffer)
        })
    }

    fn each(
        &mut self,
        mut exchange: impl FnMut(&mut Connection, &Conversation) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let connections = self.connections.len();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            self.patience.check()?;
            exchange(connection, &self.conversation)
                .with_context(|| format!("connection {} of {connections}", index + 1))?;
        }
        Ok(())
    }
}
