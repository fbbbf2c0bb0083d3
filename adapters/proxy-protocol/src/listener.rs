//! A listener whose trusted peers send a PROXY header first.
use crate::{
    Policy, ProxyProtocolConnection, ProxyProtocolHandshake, policy::Others, trusted::Trust,
};
use anyport_core::{
    Listener,
    runtime::SharedTimer,
    transport::{AcceptErrorKind, ByteListener, Connecting},
};
use std::{
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A listener whose trusted peers send a PROXY header first. Each header is read in the
/// connection's own task.
pub struct ProxyProtocolListener<L> {
    inner: L,
    shared: Arc<Shared>,
}

/// The settings that all handshakes share.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) timer: SharedTimer,
}

impl<L> ProxyProtocolListener<L> {
    pub(crate) fn new(inner: L, policy: Policy, timer: SharedTimer) -> Self {
        let shared = Arc::new(Shared { policy, timer });
        Self { inner, shared }
    }
}

impl<L: ByteListener> Listener for ProxyProtocolListener<L> {
    type Connection = ProxyProtocolConnection<L::Connection>;
    type Handshake = ProxyProtocolHandshake<L::Handshake, L::Connection>;

    fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Connecting<Self::Handshake>>> {
        let shared = &self.shared;
        self.inner.poll_accept(cx).map_ok(|incoming| {
            let policy = &shared.policy;
            // If the inner transport also reads a PROXY header, the peer is known only after the
            // inner handshake.
            let is_known = !incoming.is_from_proxy();
            let trust = policy.trusted.endpoint(&incoming.peer);
            match trust {
                Trust::No if is_known && policy.others == Others::Refused => {
                    let peer = incoming.peer.clone();
                    incoming.map(|_| ProxyProtocolHandshake::refused(peer))
                }
                Trust::No if is_known => incoming.map(ProxyProtocolHandshake::ordinary),
                _ => incoming.from_proxy().map(|below| {
                    let is_trusted = is_known && trust == Trust::Yes;
                    ProxyProtocolHandshake::new(below, Arc::clone(shared), is_trusted)
                }),
            }
        })
    }

    fn stop(&mut self) -> Duration {
        self.inner.stop()
    }

    fn classify(&self, error: &io::Error) -> AcceptErrorKind {
        self.inner.classify(error)
    }
}

impl<L: fmt::Debug> fmt::Debug for ProxyProtocolListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyProtocolListener")
            .field("inner", &self.inner)
            .field("policy", &self.shared.policy)
            .finish()
    }
}
