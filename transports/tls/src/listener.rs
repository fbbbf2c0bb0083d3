//! A listener whose connections begin with a TLS handshake.
use crate::{TlsConnection, TlsHandshake, worker_tls::WorkerTls};
use anyport_core::{
    Listener,
    transport::{AcceptErrorKind, ByteListener, Connecting},
};
use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A listener whose connections begin with a TLS handshake. Each handshake runs in the task of its
/// connection.
#[derive(Debug)]
pub struct TlsListener<L> {
    inner: L,
    tls: Arc<WorkerTls>,
}

impl<L> TlsListener<L> {
    pub(crate) fn new(inner: L, tls: Arc<WorkerTls>) -> Self {
        Self { inner, tls }
    }
}

impl<L: ByteListener> Listener for TlsListener<L> {
    type Connection = TlsConnection<L::Connection>;
    type Handshake = TlsHandshake<L::Handshake, L::Connection>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let accepted = self.inner.poll_accept(cx);
        accepted.map_ok(|incoming| {
            incoming.map(|handshake| TlsHandshake::new(handshake, Arc::clone(&self.tls)))
        })
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.inner.classify(error)
    }
}
