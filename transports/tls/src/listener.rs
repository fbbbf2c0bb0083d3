//! A listener whose connections begin with a TLS handshake.
use crate::{TlsConnection, TlsHandshake, secure::Secure};
use anyport_core::{AcceptErrorKind, ByteListener, Incoming, Listener};
use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A listener whose connections begin with a TLS handshake, each in its connection's own task.
#[derive(Debug)]
pub struct TlsListener<L> {
    inner: L,
    secure: Arc<Secure>,
}

impl<L> TlsListener<L> {
    pub(crate) fn new(inner: L, secure: Arc<Secure>) -> Self {
        Self { inner, secure }
    }
}

impl<L: ByteListener> Listener for TlsListener<L> {
    type Connection = TlsConnection<L::Connection>;
    type Handshake = TlsHandshake<L::Handshake, L::Connection>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming<Self::Handshake>>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|incoming| {
            incoming.map(|below| TlsHandshake::new(below, Arc::clone(&self.secure)))
        })
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.inner.classify(error)
    }
}
