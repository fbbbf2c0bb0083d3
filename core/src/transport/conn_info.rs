//! Facts about a connection, as data that an app may keep.
use super::{Drain, DrainBegins, Endpoint, PeerCred, TlsInfo};
use bytes::Bytes;
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// What is known about one connection: a pointer to clone, `Send + Sync` on every transport.
///
/// A transport fills in the facts (peer, local address, TLS, ALPN, credentials); the server adds
/// which worker accepted the connection, when, and a number that no other connection of this server
/// has. An app gets it once per connection, through [`App::connect`](crate::App::connect), or with
/// each request, if [`HttpOptions::with_conn_info`](crate::HttpOptions::with_conn_info) asked for
/// it.
#[derive(Clone)]
pub struct ConnInfo(Arc<Facts>);

/// One allocation of 128 bytes, counters included: a connection that waits has not much more than
/// this.
#[derive(Clone)]
struct Facts {
    peer: Endpoint,
    local: Endpoint,
    handshake: Option<Box<Handshake>>,
    admission: OnceLock<Admission>,
}

/// What few transports know.
#[derive(Clone, Default)]
struct Handshake {
    alpn: Option<Bytes>,
    tls: Option<TlsInfo>,
    peer_cred: Option<PeerCred>,
}

/// What the server adds.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    /// None: no server has accepted it.
    pub(crate) drain: Option<Arc<DrainBegins>>,
    pub(crate) id: u64,
    pub(crate) worker: u32,
    pub(crate) at: Moment,
}

/// An instant in half the space: as nanoseconds before or after one that all have in common. In 292
/// years, it's full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment(i64);

impl Moment {
    fn origin() -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now)
    }

    pub(crate) fn of(instant: Instant) -> Self {
        let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        let origin = Self::origin();
        Self(match instant.checked_duration_since(origin) {
            Some(after) => nanos(after),
            // A paused clock may be behind.
            None => -nanos(origin.saturating_duration_since(instant)),
        })
    }

    fn instant(self) -> Instant {
        let (origin, distance) = (Self::origin(), Duration::from_nanos(self.0.unsigned_abs()));
        match self.0 {
            0.. => origin + distance,
            _ => origin.checked_sub(distance).unwrap_or(origin),
        }
    }
}

impl ConnInfo {
    /// The facts of a connection from `peer`, accepted at `local`.
    #[must_use]
    pub fn new(peer: impl Into<Endpoint>, local: impl Into<Endpoint>) -> Self {
        Self(Arc::new(Facts {
            peer: peer.into(),
            local: local.into(),
            handshake: None,
            admission: OnceLock::new(),
        }))
    }

    /// The same with the protocol that a handshake agreed on, such as `h2` or `http/1.1` (RFC
    /// 7301).
    ///
    /// The server believes it: no byte of the connection is looked at to tell HTTP/1.1 from HTTP/2.
    #[must_use]
    pub fn with_alpn(mut self, protocol: impl Into<Bytes>) -> Self {
        self.handshake().alpn = Some(protocol.into());
        self
    }

    /// The same after a TLS handshake. What a layer below it agreed on, ALPN included, is
    /// forgotten: it's of no use to whoever is above.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsInfo) -> Self {
        let handshake = self.handshake();
        (handshake.alpn, handshake.tls) = (None, Some(tls));
        self
    }

    /// The same with the process that connected, as the kernel vouches for it.
    #[must_use]
    pub fn with_peer_cred(mut self, peer_cred: PeerCred) -> Self {
        self.handshake().peer_cred = Some(peer_cred);
        self
    }

    fn handshake(&mut self) -> &mut Handshake {
        Arc::make_mut(&mut self.0).handshake.get_or_insert_default()
    }

    /// Adds what the server knows, in place, so that a connection has these facts once. `Some`:
    /// they've been another connection's before (a transport hands out clones of one), so this
    /// connection needs a copy.
    pub(crate) fn admit(&self, admission: Admission) -> Option<Self> {
        let admission = self.0.admission.set(admission).err()?;
        let mut facts = Facts::clone(&self.0);
        facts.admission = OnceLock::from(admission);
        Some(Self(Arc::new(facts)))
    }

    fn admission(&self) -> &Admission {
        self.0.admission.get_or_init(|| Admission {
            drain: None,
            id: 0,
            worker: 0,
            at: Moment::of(Instant::now()),
        })
    }

    /// Who connected.
    #[must_use]
    pub fn peer(&self) -> &Endpoint {
        &self.0.peer
    }

    /// The address that the connection was accepted at.
    #[must_use]
    pub fn local(&self) -> &Endpoint {
        &self.0.local
    }

    /// The protocol that a handshake agreed on (RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.handshake.as_ref()?.alpn.as_deref()
    }

    /// What a TLS handshake agreed on, and whom the client proved to be. `None`: the connection
    /// isn't encrypted by this server.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.handshake.as_ref()?.tls.as_ref()
    }

    /// The process that connected, its user and its group, as the kernel vouches for them: over
    /// Unix sockets.
    #[must_use]
    pub fn peer_cred(&self) -> Option<&PeerCred> {
        self.0.handshake.as_ref()?.peer_cred.as_ref()
    }

    /// The connection's number: unique within its server, from 1. 0 is one that no server has
    /// accepted.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.admission().id
    }

    /// The index of the worker that accepted it, from 0, as in
    /// [`Worker::index`](crate::runtime::Worker::index).
    #[must_use]
    pub fn worker(&self) -> usize {
        self.admission().worker as usize
    }

    /// Whether its server drains, as a flag and as a future; for what would go on for ever.
    #[must_use]
    pub fn drain(&self) -> Drain {
        Drain::new(self.admission().drain.clone())
    }

    /// When it was accepted, before any handshake. Of one that no server has accepted: when this
    /// was first asked.
    #[must_use]
    pub fn accepted_at(&self) -> Instant {
        self.admission().at.instant()
    }
}

impl fmt::Debug for ConnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnInfo")
            .field("id", &self.id())
            .field("peer", &format_args!("{}", self.peer()))
            .field("local", &format_args!("{}", self.local()))
            .field("alpn", &self.alpn().map(|a| a.escape_ascii().to_string()))
            .field("tls", &self.tls())
            .field("peer_cred", &self.peer_cred())
            .field("worker", &self.worker())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TlsVersion;

    #[test]
    fn the_facts_of_a_connection_keep_their_size() {
        let counters = 2 * size_of::<usize>();
        assert!(
            size_of::<Facts>() + counters <= 128,
            "{}",
            size_of::<Facts>() + counters
        );
    }

    #[test]
    fn tls_replaces_what_a_layer_below_agreed_on() {
        let tls = |name: &str| TlsInfo::new(TlsVersion::Tls13, "suite").with_server_name(name);
        let info = ConnInfo::new(Endpoint::custom("peer"), Endpoint::custom("local"));
        let below = info.with_tls(tls("below")).with_alpn("h2");
        assert_eq!(below.alpn(), Some(&b"h2"[..]));
        let above = below.clone().with_tls(tls("above"));
        assert_eq!((above.alpn(), below.alpn()), (None, Some(&b"h2"[..])));
        assert_eq!(above.tls().and_then(TlsInfo::server_name), Some("above"));
    }

    #[test]
    fn facts_that_a_transport_hands_out_twice_are_of_two_connections() {
        let info = ConnInfo::new(Endpoint::custom("peer"), Endpoint::custom("local"));
        let admission = |id| Admission {
            drain: None,
            id,
            worker: 3,
            at: Moment::of(Instant::now()),
        };
        assert!(info.admit(admission(1)).is_none(), "nothing is copied");
        let second = info.admit(admission(2)).expect("a copy");
        assert_eq!((info.id(), second.id(), second.worker()), (1, 2, 3));
        assert_eq!(second.peer(), info.peer());
    }
}
