//! One worker's share of the accept queue.
use crate::{MemoryConnection, MemorySocket};
use anyport_core::{Incoming, Listener};
use std::{
    future::Ready,
    io,
    task::{Context, Poll},
    time::Duration,
};

/// One worker's share of the accept queue: each connection goes to whoever comes first.
#[derive(Debug)]
pub struct MemoryListener(MemorySocket);

impl MemoryListener {
    pub(crate) fn new(socket: MemorySocket) -> Self {
        Self(socket)
    }
}

impl Listener for MemoryListener {
    type Connection = MemoryConnection;
    type Handshake = Ready<io::Result<MemoryConnection>>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        self.0
            .poll_accept(cx)
            .map(|connection| Ok(Incoming::ready(connection)))
    }

    fn stop(&mut self) -> Duration {
        self.0.stop();
        Duration::ZERO
    }
}
