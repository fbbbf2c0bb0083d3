//! Options of HTTP/1 and HTTP/2.
use crate::error::{BoxError, Error, Result};
use http::StatusCode;
use std::{fmt, sync::Arc, time::Duration};

/// The versions of HTTP that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HttpVersions {
    /// All versions that are compiled in (features `http1`, `http2`). Over TLS, ALPN decides.
    /// Without TLS, the first bytes of the connection do (RFC 9113 3.3, prior knowledge).
    #[default]
    All,
    /// HTTP/1.0 and HTTP/1.1 only.
    Http1,
    /// HTTP/2 only.
    Http2,
}

/// Options of HTTP: [`Server::http`](crate::Server::http) sets them.
#[derive(Clone)]
pub struct HttpOptions {
    pub(crate) versions: HttpVersions,
    pub(crate) conn_info: bool,
    pub(crate) hibernate_after: Duration,
    pub(crate) half_close: bool,
    pub(crate) http2_without_alpn: bool,
    pub(crate) status_of: Option<StatusOf>,
}

type StatusOf = Arc<dyn Fn(&BoxError) -> StatusCode + Send + Sync>;

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            versions: HttpVersions::default(),
            conn_info: false,
            hibernate_after: Duration::from_millis(200),
            half_close: false,
            http2_without_alpn: false,
            status_of: None,
        }
    }
}

impl HttpOptions {
    /// The versions to speak. Default: all that are compiled in.
    #[must_use]
    pub fn with_versions(mut self, versions: HttpVersions) -> Self {
        self.versions = versions;
        self
    }

    /// Puts the [`ConnInfo`](crate::ConnInfo) into the extensions of each request. Default: off,
    /// because it costs a few small allocations per request.
    /// [`App::connect`](crate::App::connect) gets the same once per connection at no cost.
    #[must_use]
    pub fn with_conn_info(mut self) -> Self {
        self.conn_info = true;
        self
    }

    /// How long an HTTP/1 connection may be idle before it hibernates: its buffers are freed until
    /// the peer sends again. Default: 200 ms; `Duration::MAX` turns it off.
    ///
    /// After its first request, or the first one after a longer pause, a connection hibernates in a
    /// fortieth of this time. After further requests within this time, it takes between once and
    /// twice the time, because a busy connection is not checked after each request. A hibernating
    /// connection has no buffers, like a connection that has not sent a byte. But it keeps the
    /// service of its app. The next request costs a few allocations, but fewer than a new
    /// connection.
    #[must_use]
    pub fn with_hibernate_after(mut self, idle: Duration) -> Self {
        self.hibernate_after = idle;
        self
    }

    /// Responds to an HTTP/1 client that has shut down its sending half (FIN) after its request.
    /// Default: off. The server then treats a FIN as a disconnect, drops the handler and closes the
    /// connection, as nginx and Node.js do.
    ///
    /// With this option a handler runs to its end even if the client has closed its socket. Only a
    /// reset or a failed write shows the close. In either case, a FIN in the middle of a request
    /// body is an error of that body. The option does not apply to HTTP/2.
    #[must_use]
    pub fn with_half_close(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// Accepts HTTP/2 over TLS from a client that starts it without having asked for `h2` by ALPN.
    /// Default: off, because RFC 9113 3.2 requires ALPN. Such a client gets a GOAWAY with the error
    /// HTTP_1_1_REQUIRED, or PROTOCOL_ERROR if the server speaks only HTTP/2.
    #[must_use]
    pub fn with_http2_without_alpn(mut self) -> Self {
        self.http2_without_alpn = true;
        self
    }

    /// The status of the response to an error of the service. Default: 500.
    #[must_use]
    pub fn with_error_status(
        mut self,
        status: impl Fn(&BoxError) -> StatusCode + Send + Sync + 'static,
    ) -> Self {
        self.status_of = Some(Arc::new(status));
        self
    }

    /// Whether HTTP/1 and HTTP/2 are enabled, in this order.
    pub(crate) fn versions(&self) -> (bool, bool) {
        let (http1, http2) = (cfg!(feature = "http1"), cfg!(feature = "http2"));
        match self.versions {
            HttpVersions::All => (http1, http2),
            HttpVersions::Http1 => (http1, false),
            HttpVersions::Http2 => (false, http2),
        }
    }

    /// The ALPN protocol names (RFC 7301 6), the preferred one first.
    pub(crate) fn alpn(&self) -> &'static [&'static [u8]] {
        match self.versions() {
            (true, true) => &[b"h2", b"http/1.1"],
            (true, false) => &[b"http/1.1"],
            (false, true) => &[b"h2"],
            (false, false) => &[],
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match (self.versions(), self.versions) {
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
            .field("hibernate_after", &self.hibernate_after)
            .field("half_close", &self.half_close)
            .field("http2_without_alpn", &self.http2_without_alpn)
            .finish_non_exhaustive()
    }
}
