//! What a server is held to: limits, timeouts, and how HTTP is spoken.
use crate::{BoxError, Error, Result, error::descriptor_limit};
use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// How much of anything a peer may take. For the whole server, unless the name says otherwise.
///
/// ```
/// # use anyport_core::Limits;
/// let limits = Limits::default().with_connections(500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections open at once, upgraded ones included; the next one waits in the kernel's queue. Default: 10,000, or 80 % of the
    /// descriptors that the process may have (RLIMIT_NOFILE), if that's less.
    pub connections: usize,
    /// Bytes in the head of an HTTP/1 request, or in the header list of an HTTP/2 one; beyond that, it's answered 431.
    /// Default: 64 KiB; at least 8 KiB.
    pub head_bytes: usize,
    /// Requests that one HTTP/2 connection may have open at once (RFC 9113 5.1.2). Default: 100, as Envoy has it for
    /// servers at the edge.
    pub h2_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let descriptors = descriptor_limit()
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(usize::MAX);
        Self {
            connections: (descriptors / 10 * 8).clamp(1, 10_000),
            head_bytes: 64 * 1024,
            h2_streams: 100,
        }
    }
}

impl Limits {
    /// Sets [`connections`](Self::connections).
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
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
        if self.connections == 0 {
            return Err(Error::config(
                "Limits::connections is 0, so nobody could connect: allow at least 1",
            ));
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
/// ```
/// # use anyport_core::Timeouts;
/// # use std::time::Duration;
/// let timeouts = Timeouts::default().with_drain(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a transport's handshake, such as TLS. Default: 10 s.
    pub handshake: Duration,
    /// For the head of a request: from the connection's start (after its handshake) or from the head's first byte.
    /// Default: 30 s.
    pub head: Duration,
    /// How long a connection may be without a request. Default: 75 s, as nginx has it.
    pub keep_alive: Duration,
    /// How long a drain may take that [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown) began. Default: 30 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            drain: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
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

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub fn with_drain(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
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
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) http: HttpOptions,
}

impl Config {
    pub(crate) fn check(&self, speaks_http: bool) -> Result<()> {
        self.limits.check()?;
        if speaks_http { self.http.check() } else { Ok(()) }
    }
}
