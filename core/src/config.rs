//! What a server is held to: limits, timeouts, and how HTTP is spoken.
use crate::{BoxError, Endpoint, Error, Event, Observer, Result, engine::panics, error::descriptor_limit};
use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// How much of anything a peer may take. For the whole server, unless the name says otherwise.
///
/// Three presets to begin with: [`default`](Self::default) suits most servers, [`strict`](Self::strict) one that faces the internet without a
/// proxy, [`disabled`](Self::disabled) one behind a proxy that holds the limits.
///
/// ```
/// # use anyport_core::Limits;
/// let limits = Limits::default().with_connections(500).with_connections_per_ip(20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once, upgraded ones included; the next one waits in the kernel's queue. Default: 10,000, or 80 % of the
    /// descriptors that the process may have (RLIMIT_NOFILE), if that's less; the rest is the app's.
    pub connections: usize,
    /// Connections open at once on one worker; the next one waits for the same worker. Default: no limit of its own.
    pub connections_per_worker: usize,
    /// Connections open at once from one IP address, or one /64 of IPv6, which is what one client usually has; a further one is closed
    /// as soon as it's accepted. Default: no limit, since a proxy is one address. Strict: 100.
    pub connections_per_ip: usize,
    /// Bytes in the head of an HTTP/1 request, or in the header list of an HTTP/2 one; beyond that, it's answered 431.
    /// Default: 64 KiB, as Envoy has it (60 KiB); strict: 16 KiB; at least 8 KiB, which common cookies need.
    pub head_bytes: usize,
    /// Requests that one HTTP/2 connection may have open at once (RFC 9113 5.1.2). Default: 100, as Envoy has it for
    /// servers at the edge, and the least that the RFC recommends.
    pub h2_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let descriptors = descriptor_limit().and_then(|n| usize::try_from(n).ok());
        Self {
            connections: descriptors.map_or(10_000, |n| (n / 10 * 8).clamp(1, 10_000)),
            connections_per_worker: usize::MAX,
            connections_per_ip: usize::MAX,
            head_bytes: 64 * 1024,
            h2_streams: 100,
        }
    }
}

impl Limits {
    /// For a server that faces the internet itself.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            connections_per_ip: 100,
            head_bytes: 16 * 1024,
            ..Self::default()
        }
    }

    /// As good as none: for a server behind a proxy that holds them.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            connections: usize::MAX,
            connections_per_worker: usize::MAX,
            connections_per_ip: usize::MAX,
            head_bytes: 1024 * 1024,
            h2_streams: u32::MAX,
        }
    }

    /// Sets [`connections`](Self::connections).
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets [`connections_per_worker`](Self::connections_per_worker).
    #[must_use]
    pub fn with_connections_per_worker(mut self, connections: usize) -> Self {
        self.connections_per_worker = connections;
        self
    }

    /// Sets [`connections_per_ip`](Self::connections_per_ip).
    #[must_use]
    pub fn with_connections_per_ip(mut self, connections: usize) -> Self {
        self.connections_per_ip = connections;
        self
    }

    /// Sets [`head_bytes`](Self::head_bytes).
    #[must_use]
    pub fn with_head_bytes(mut self, bytes: usize) -> Self {
        self.head_bytes = bytes;
        self
    }

    /// Sets [`h2_streams`](Self::h2_streams).
    #[must_use]
    pub fn with_h2_streams(mut self, streams: u32) -> Self {
        self.h2_streams = streams;
        self
    }

    fn check(&self) -> Result<()> {
        for (name, limit) in [
            ("connections", self.connections),
            ("connections_per_worker", self.connections_per_worker),
            ("connections_per_ip", self.connections_per_ip),
        ] {
            if limit == 0 {
                return Err(Error::config(format!(
                    "Limits::{name} is 0, so nobody could connect: allow at least 1"
                )));
            }
            if limit > self.connections && limit != usize::MAX {
                return Err(Error::config(format!(
                    "Limits::{name} is {limit}, but Limits::connections allows {} in all, so it could never be reached: \
                     lower the one or raise the other",
                    self.connections
                )));
            }
        }
        if self.head_bytes < 8 * 1024 {
            return Err(Error::config(format!(
                "Limits::head_bytes is {}, too little for common requests: allow at least 8192",
                self.head_bytes
            )));
        }
        if self.h2_streams == 0 {
            return Err(Error::config(
                "Limits::h2_streams is 0, so no HTTP/2 request could be made: allow at least 1, or serve HTTP/1 only",
            ));
        }
        Ok(())
    }
}

/// How long anything may take. `Duration::MAX` turns a deadline off.
///
/// Three presets to begin with: [`default`](Self::default) suits most servers, [`strict`](Self::strict) one that faces the internet without a
/// proxy, [`disabled`](Self::disabled) one behind a proxy that holds the deadlines.
///
/// ```
/// # use anyport_core::Timeouts;
/// # use std::time::Duration;
/// let timeouts = Timeouts::default().with_drain(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a transport's handshake, such as TLS. Default: 10 s, as Go's `TLSHandshakeTimeout`; strict: 5 s.
    pub handshake: Duration,
    /// For the head of a request: from the connection's start (after its handshake) or from the head's first byte.
    /// Default: 30 s, as hyper's; strict: 10 s.
    pub head: Duration,
    /// How long a connection may be without a request. Default: 75 s, as nginx's `keepalive_timeout`; strict: 30 s.
    pub keep_alive: Duration,
    /// How long an app that waits for the next bytes of a request's body may have to; then reading the body is an error of kind
    /// [`TimedOut`](std::io::ErrorKind::TimedOut). Default: 60 s, as nginx's `client_body_timeout`; strict: 30 s.
    pub body_gap: Duration,
    /// How long a peer may read nothing of what it's sent, before the connection is cut off. Default: 60 s, as nginx's `send_timeout`;
    /// strict: 30 s.
    pub write_stall: Duration,
    /// How old a connection may become. Then it's told to end as in a drain, and what it's doing may finish. Not for upgraded ones.
    /// Default: off; strict: one hour, so that clients come back to a changed fleet.
    pub age: Duration,
    /// How long the app may take for the head of a response; then it's dropped and the request is answered 504. Default and strict: off, since
    /// only the app knows.
    pub request: Duration,
    /// How long a drain may take that [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown) began. Default: 30 s, as
    /// Kubernetes waits for a pod.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            body_gap: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
            age: Duration::MAX,
            request: Duration::MAX,
            drain: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// For a server that faces the internet itself.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(30),
            body_gap: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            age: Duration::from_secs(60 * 60),
            ..Self::default()
        }
    }

    /// None, but for the drain: for a server behind a proxy that holds them.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            handshake: Duration::MAX,
            head: Duration::MAX,
            keep_alive: Duration::MAX,
            body_gap: Duration::MAX,
            write_stall: Duration::MAX,
            age: Duration::MAX,
            request: Duration::MAX,
            drain: Duration::from_secs(30),
        }
    }

    /// Sets [`handshake`](Self::handshake).
    #[must_use]
    pub fn with_handshake(mut self, timeout: Duration) -> Self {
        self.handshake = timeout;
        self
    }

    /// Sets [`head`](Self::head).
    #[must_use]
    pub fn with_head(mut self, timeout: Duration) -> Self {
        self.head = timeout;
        self
    }

    /// Sets [`keep_alive`](Self::keep_alive).
    #[must_use]
    pub fn with_keep_alive(mut self, timeout: Duration) -> Self {
        self.keep_alive = timeout;
        self
    }

    /// Sets [`body_gap`](Self::body_gap).
    #[must_use]
    pub fn with_body_gap(mut self, timeout: Duration) -> Self {
        self.body_gap = timeout;
        self
    }

    /// Sets [`write_stall`](Self::write_stall).
    #[must_use]
    pub fn with_write_stall(mut self, timeout: Duration) -> Self {
        self.write_stall = timeout;
        self
    }

    /// Sets [`age`](Self::age).
    #[must_use]
    pub fn with_age(mut self, timeout: Duration) -> Self {
        self.age = timeout;
        self
    }

    /// Sets [`request`](Self::request).
    #[must_use]
    pub fn with_request(mut self, timeout: Duration) -> Self {
        self.request = timeout;
        self
    }

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub fn with_drain(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    fn check(&self) -> Result<()> {
        for (name, timeout) in [
            ("handshake", self.handshake),
            ("head", self.head),
            ("keep_alive", self.keep_alive),
            ("body_gap", self.body_gap),
            ("write_stall", self.write_stall),
            ("age", self.age),
            ("request", self.request),
        ] {
            if timeout.is_zero() {
                return Err(Error::config(format!(
                    "Timeouts::{name} is zero, so it would be over at once: `Duration::MAX` turns it off"
                )));
            }
        }
        Ok(())
    }
}

/// Which versions of HTTP a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HttpVersions {
    /// All that are compiled in (features `http1`, `http2`): ALPN decides, or else the first bytes of the connection
    /// (RFC 9113 3.3, prior knowledge).
    #[default]
    All,
    /// HTTP/1.0 and HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// How HTTP is spoken.
#[derive(Clone, Default)]
pub struct HttpOptions {
    pub(crate) versions: HttpVersions,
    pub(crate) conn_info: bool,
    pub(crate) status_of: Option<StatusOf>,
}

type StatusOf = Arc<dyn Fn(&BoxError) -> StatusCode + Send + Sync>;

impl HttpOptions {
    /// Which versions to speak. Default: all that are compiled in.
    #[must_use]
    pub fn with_versions(mut self, versions: HttpVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Puts the [`ConnInfo`](crate::ConnInfo) into each request's extensions. Default: off, since it costs an allocation per
    /// request; [`App::connect`](crate::App::connect) gets it once per connection for nothing.
    #[must_use]
    pub fn with_conn_info(mut self) -> Self {
        self.conn_info = true;
        self
    }

    /// The status that answers an error of the service. Default: 500.
    #[must_use]
    pub fn with_error_status(
        mut self,
        status: impl Fn(&BoxError) -> StatusCode + Send + Sync + 'static,
    ) -> Self {
        self.status_of = Some(Arc::new(status));
        self
    }

    /// Whether HTTP/1 and HTTP/2 are spoken.
    pub(crate) fn speaks(&self) -> (bool, bool) {
        let (http1, http2) = (cfg!(feature = "http1"), cfg!(feature = "http2"));
        match self.versions {
            HttpVersions::All => (http1, http2),
            HttpVersions::Http1 => (http1, false),
            HttpVersions::Http2 => (false, http2),
        }
    }

    fn check(&self) -> Result<()> {
        match (self.speaks(), self.versions) {
            ((false, false), HttpVersions::Http1) => Err(Error::config(
                "HTTP/1 was asked for, but the feature `http1` is off",
            )),
            ((false, false), HttpVersions::Http2) => Err(Error::config(
                "HTTP/2 was asked for, but the feature `http2` is off",
            )),
            ((false, false), HttpVersions::All) => Err(Error::config(
                "no version of HTTP is compiled in: turn on the feature `http1` or `http2`",
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("versions", &self.versions)
            .field("conn_info", &self.conn_info)
            .finish_non_exhaustive()
    }
}

/// All of it, as a server has it.
#[derive(Clone, Default)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) http: HttpOptions,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) filter: Option<Filter>,
}

/// Whether a peer may connect.
pub(crate) type Filter = Arc<dyn Fn(&Endpoint) -> bool + Send + Sync>;

impl Config {
    /// Tells the observer, if there's one. What the event is made of is gathered only then.
    pub(crate) fn observe<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(observer) = &self.observer {
            let _ = panics::catch(|| observer.on(&event()));
        }
    }

    pub(crate) fn check(&self, speaks_http: bool) -> Result<()> {
        self.limits.check()?;
        self.timeouts.check()?;
        if speaks_http { self.http.check() } else { Ok(()) }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}
