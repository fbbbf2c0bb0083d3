//! Facts about a connection, as data that an app may keep.
use super::{Drain, DrainBegins, Endpoint, PeerCred, Proxied, TlsInfo};
use bytes::Bytes;
use std::{
    fmt, mem,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// The facts about one connection: cheap to clone, `Send + Sync` on every transport.
///
/// A transport provides the addresses, TLS, ALPN and credentials. The server adds the worker, the
/// time of the accept, and a number that is unique within the server. An app gets the `ConnInfo`
/// once per connection, through [`App::connect`](crate::App::connect), or with each request, with
/// [`HttpOptions::with_conn_info`](crate::HttpOptions::with_conn_info).
///
/// ```
/// # use anyport_core::{Body, ConnInfo};
/// # use http::{Request, Response};
/// async fn who(request: Request<Body>) -> Response<String> {
///     // Needs `HttpOptions::with_conn_info`.
///     let text = match request.extensions().get::<ConnInfo>() {
///         Some(info) => format!("{} asks {}", info.peer(), info.local()),
///         None => "nobody is known".to_owned(),
///     };
///     Response::new(text)
/// }
/// ```
#[derive(Clone)]
pub struct ConnInfo(Arc<Facts>);

/// One allocation of at most 128 bytes for each connection, reference counts included.
#[derive(Clone)]
struct Facts {
    peer: Endpoint,
    local: Endpoint,
    handshake: Option<Box<Handshake>>,
    by_proxy: Option<Box<ByProxy>>,
    admission: OnceLock<Admission>,
}

/// Facts that few transports have; boxed, so that the other transports need no space for them.
#[derive(Clone, Default)]
struct Handshake {
    alpn: Option<Bytes>,
    tls: Option<TlsInfo>,
    peer_cred: Option<PeerCred>,
}

/// The proxy, and the facts that it sent; boxed for the same reason.
#[derive(Clone)]
struct ByProxy {
    proxy: Endpoint,
    proxied: Proxied,
}

/// The facts that the server adds.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    /// `None`: no server has accepted the connection.
    pub(crate) drain: Option<Arc<DrainBegins>>,
    pub(crate) number: Number,
    pub(crate) at: Moment,
}

/// The numbers of a connection and its worker in eight bytes: 48 bits and 16 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number(u64);

impl Number {
    const ID_BITS: u32 = 48;

    /// A `worker` above 65,535 is kept as 65,535.
    pub(crate) fn new(id: u64, worker: usize) -> Self {
        let worker = u16::try_from(worker).unwrap_or(u16::MAX);
        Self(u64::from(worker) << Self::ID_BITS | id & Self::ids())
    }

    fn id(self) -> u64 {
        self.0 & Self::ids()
    }

    fn worker(self) -> usize {
        (self.0 >> Self::ID_BITS) as usize
    }

    fn ids() -> u64 {
        (1 << Self::ID_BITS) - 1
    }
}

/// An instant in half the size: nanoseconds relative to a common origin. It overflows after 292
/// years.
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
            // A paused clock may be behind the origin.
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
    /// Facts of a connection from `peer`, accepted at `local`.
    #[must_use]
    pub fn new(peer: impl Into<Endpoint>, local: impl Into<Endpoint>) -> Self {
        Self(Arc::new(Facts {
            peer: peer.into(),
            local: local.into(),
            handshake: None,
            by_proxy: None,
            admission: OnceLock::new(),
        }))
    }

    /// Sets the protocol that the handshake negotiated, such as `h2` or `http/1.1` (RFC 7301).
    ///
    /// The server relies on it and does not detect HTTP/1.1 or HTTP/2 by the first bytes.
    #[must_use]
    pub fn with_alpn(mut self, protocol: impl Into<Bytes>) -> Self {
        self.set_alpn(protocol);
        self
    }

    /// Like [`with_alpn`](Self::with_alpn), but in place. It copies the facts only if they have
    /// been cloned.
    pub fn set_alpn(&mut self, protocol: impl Into<Bytes>) {
        self.handshake().alpn = Some(protocol.into());
    }

    /// Sets the result of a TLS handshake. Results of the inner transport, ALPN included, are
    /// discarded.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsInfo) -> Self {
        self.set_tls(tls);
        self
    }

    /// Like [`with_tls`](Self::with_tls), but in place. It copies the facts only if they have been
    /// cloned.
    pub fn set_tls(&mut self, tls: TlsInfo) {
        let handshake = self.handshake();
        (handshake.alpn, handshake.tls) = (None, Some(tls));
    }

    /// Sets the process that connected, as the kernel reports it.
    #[must_use]
    pub fn with_peer_cred(mut self, peer_cred: PeerCred) -> Self {
        self.handshake().peer_cred = Some(peer_cred);
        self
    }

    /// Names the client of a connection that a trusted proxy forwards. The previous peer becomes
    /// the [`proxy`](Self::proxy), and `client` becomes the [`peer`](Self::peer).
    #[must_use]
    pub fn with_client(mut self, client: impl Into<Endpoint>, proxied: Proxied) -> Self {
        self.set_client(client, proxied);
        self
    }

    /// Like [`with_client`](Self::with_client), but in place. It copies the facts only if they have
    /// been cloned.
    pub fn set_client(&mut self, client: impl Into<Endpoint>, proxied: Proxied) {
        let facts = Arc::make_mut(&mut self.0);
        let proxy = mem::replace(&mut facts.peer, client.into());
        facts.by_proxy = Some(Box::new(ByProxy { proxy, proxied }));
    }

    fn handshake(&mut self) -> &mut Handshake {
        Arc::make_mut(&mut self.0).handshake.get_or_insert_default()
    }

    /// Adds the server's facts in place. Returns a copy if another connection had these facts
    /// before, because its transport hands out clones of one `ConnInfo`.
    pub(crate) fn admit(&self, admission: Admission) -> Option<Self> {
        let admission = self.0.admission.set(admission).err()?;
        let mut facts = Facts::clone(&self.0);
        facts.admission = OnceLock::from(admission);
        Some(Self(Arc::new(facts)))
    }

    fn admission(&self) -> &Admission {
        self.0.admission.get_or_init(|| Admission {
            drain: None,
            number: Number::new(0, 0),
            at: Moment::of(Instant::now()),
        })
    }

    /// The peer's address. Behind a trusted proxy, the peer is the client that the proxy names.
    #[must_use]
    pub fn peer(&self) -> &Endpoint {
        &self.0.peer
    }

    /// The local address of the connection.
    #[must_use]
    pub fn local(&self) -> &Endpoint {
        &self.0.local
    }

    /// The protocol that the handshake negotiated (RFC 7301).
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.handshake.as_ref()?.alpn.as_deref()
    }

    /// The result of the TLS handshake, with the client's certificates. `None`: this server does
    /// not encrypt the connection.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.handshake.as_ref()?.tls.as_ref()
    }

    /// The peer's process, user and group, as the kernel reports them. Only for Unix sockets.
    #[must_use]
    pub fn peer_cred(&self) -> Option<&PeerCred> {
        self.0.handshake.as_ref()?.peer_cred.as_ref()
    }

    /// The proxy that forwards the connection and names its client. `None`: the peer connected
    /// directly, or its proxy names no client.
    #[must_use]
    pub fn proxy(&self) -> Option<&Endpoint> {
        Some(&self.0.by_proxy.as_ref()?.proxy)
    }

    /// The facts that the [`proxy`](Self::proxy) sent about its client's connection.
    #[must_use]
    pub fn proxied(&self) -> Option<&Proxied> {
        Some(&self.0.by_proxy.as_ref()?.proxied)
    }

    /// The connection's number, unique within its server, from 1. It is 0 if no server has accepted
    /// the connection.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.admission().number.id()
    }

    /// The index of the worker that accepted the connection, from 0, as in
    /// [`Worker::index`](crate::runtime::Worker::index).
    #[must_use]
    pub fn worker(&self) -> usize {
        self.admission().number.worker()
    }

    /// Whether the server is draining, as a flag and as a future: for handlers that would not end
    /// otherwise.
    #[must_use]
    pub fn drain(&self) -> Drain {
        Drain::new(self.admission().drain.clone())
    }

    /// When the connection was accepted, before any handshake. If no server has accepted it, the
    /// time of the first call.
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
            .field("proxy", &self.proxy().map(ToString::to_string))
            .field("proxied", &self.proxied())
            .field("worker", &self.worker())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TlsVersion;

    #[test]
    fn facts_stay_within_128_bytes() {
        let counters = 2 * size_of::<usize>();
        assert!(
            size_of::<Facts>() + counters <= 128,
            "{}",
            size_of::<Facts>() + counters
        );
    }

    #[test]
    fn tls_replaces_results_of_the_inner_transport() {
        let tls = |name: &str| TlsInfo::new(TlsVersion::Tls13, "suite").with_server_name(name);
        let info = ConnInfo::new(Endpoint::custom("peer"), Endpoint::custom("local"));
        let inner = info.with_tls(tls("inner")).with_alpn("h2");
        assert_eq!(inner.alpn(), Some(&b"h2"[..]));
        let outer = inner.clone().with_tls(tls("outer"));
        assert_eq!((outer.alpn(), inner.alpn()), (None, Some(&b"h2"[..])));
        assert_eq!(outer.tls().and_then(TlsInfo::server_name), Some("outer"));
    }

    #[test]
    fn client_of_a_proxy_is_the_peer_also_over_tls() {
        let endpoint = |name| Endpoint::custom(name);
        let inner = ConnInfo::new(endpoint("proxy"), endpoint("local"));
        assert!(inner.proxy().is_none() && inner.proxied().is_none());
        let proxied = Proxied {
            destination: Some(endpoint("destination")),
            ..Proxied::default()
        };
        let info = inner.clone().with_client(endpoint("client"), proxied);
        let info = info.with_tls(TlsInfo::new(TlsVersion::Tls13, "suite"));
        assert_eq!(info.peer(), &endpoint("client"));
        assert_eq!(info.proxy(), Some(&endpoint("proxy")));
        assert_eq!(info.local(), &endpoint("local"));
        let proxied = info.proxied().unwrap();
        assert_eq!(proxied.destination, Some(endpoint("destination")));
        assert_eq!(inner.peer(), &endpoint("proxy"));
    }

    #[test]
    fn numbers_of_connection_and_worker_stay_apart() {
        for (id, worker) in [(0, 0), (1, 65_535), ((1 << 48) - 1, 7)] {
            let number = Number::new(id, worker);
            assert_eq!((number.id(), number.worker()), (id, worker));
        }
    }

    #[test]
    fn facts_shared_by_two_connections_are_copied() {
        let info = ConnInfo::new(Endpoint::custom("peer"), Endpoint::custom("local"));
        let admission = |id| Admission {
            drain: None,
            number: Number::new(id, 3),
            at: Moment::of(Instant::now()),
        };
        assert!(info.admit(admission(1)).is_none(), "nothing is copied");
        let second = info.admit(admission(2)).expect("a copy");
        assert_eq!((info.id(), second.id(), second.worker()), (1, 2, 3));
        assert_eq!(second.peer(), info.peer());
    }
}
