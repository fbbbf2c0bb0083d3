//! What is known about a connection, as data that an app may keep.
use crate::{Endpoint, PeerCred};
use bytes::Bytes;
use std::{fmt, sync::Arc, time::Instant};

/// What is known about one connection: cheap to clone, `Send + Sync` on every transport.
///
/// A transport fills in the facts (peer, local address, ALPN, credentials); the server adds which worker accepted the connection, when,
/// and a number that no other connection of this server has. An app gets it once per connection, through
/// [`App::connect`](crate::App::connect), or with each request, if [`HttpOptions::with_conn_info`](crate::HttpOptions::with_conn_info)
/// asked for it.
#[derive(Clone)]
pub struct ConnInfo {
    facts: Arc<Facts>,
    pub(crate) id: u64,
    pub(crate) worker: usize,
    pub(crate) accepted_at: Instant,
}

#[derive(Clone)]
struct Facts {
    peer: Endpoint,
    local: Endpoint,
    alpn: Option<Bytes>,
    peer_cred: Option<PeerCred>,
}

impl ConnInfo {
    /// The facts of a connection from `peer`, accepted at `local`.
    #[must_use]
    pub fn new(peer: impl Into<Endpoint>, local: impl Into<Endpoint>) -> Self {
        Self {
            facts: Arc::new(Facts {
                peer: peer.into(),
                local: local.into(),
                alpn: None,
                peer_cred: None,
            }),
            id: 0,
            worker: 0,
            accepted_at: Instant::now(),
        }
    }

    /// The same with the protocol that a handshake agreed on, such as `h2` or `http/1.1` (RFC 7301).
    ///
    /// The server believes it: no byte of the connection is looked at to tell HTTP/1.1 from HTTP/2.
    #[must_use]
    pub fn with_alpn(mut self, protocol: impl Into<Bytes>) -> Self {
        Arc::make_mut(&mut self.facts).alpn = Some(protocol.into());
        self
    }

    /// The same with the process that connected, as the kernel vouches for it.
    #[must_use]
    pub fn with_peer_cred(mut self, peer_cred: PeerCred) -> Self {
        Arc::make_mut(&mut self.facts).peer_cred = Some(peer_cred);
        self
    }

    /// Who connected.
    #[must_use]
    pub fn peer(&self) -> &Endpoint {
        &self.facts.peer
    }

    /// The address that the connection was accepted at.
    #[must_use]
    pub fn local(&self) -> &Endpoint {
        &self.facts.local
    }

    /// The protocol that a handshake agreed on (RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.facts.alpn.as_deref()
    }

    /// The process that connected, its user and its group, as the kernel vouches for them: over Unix sockets.
    #[must_use]
    pub fn peer_cred(&self) -> Option<&PeerCred> {
        self.facts.peer_cred.as_ref()
    }

    /// The connection's number: unique within its server, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The index of the worker that accepted it, from 0, as in [`Worker::index`](crate::Worker::index).
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// When it was accepted, before any handshake.
    #[must_use]
    pub fn accepted_at(&self) -> Instant {
        self.accepted_at
    }
}

impl fmt::Debug for ConnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnInfo")
            .field("id", &self.id)
            .field("peer", &format_args!("{}", self.peer()))
            .field("local", &format_args!("{}", self.local()))
            .field("alpn", &self.alpn().map(|a| a.escape_ascii().to_string()))
            .field("peer_cred", &self.peer_cred())
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}
