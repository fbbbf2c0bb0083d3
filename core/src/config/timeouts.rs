//! Timeouts for each phase of a connection and of a request.
use crate::error::{Error, Result};
use std::time::Duration;

/// How long a peer or an app may take. `Duration::MAX` turns a timeout off.
///
/// There are three presets: [`default`](Self::default) suits most servers, [`strict`](Self::strict)
/// suits a server on the internet without a proxy, [`disabled`](Self::disabled) suits a server
/// behind a proxy that enforces the timeouts.
///
/// ```
/// # use anyport_core::Timeouts;
/// # use std::time::Duration;
/// let timeouts = Timeouts::default().with_drain(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// A transport's handshake, such as that of TLS. Default: 10 s, as Go's `TLSHandshakeTimeout`;
    /// strict: 5 s.
    pub handshake: Duration,
    /// The head of a request, measured from the connection's start (after its handshake) or from
    /// the head's first byte. Default: 30 s, as in hyper; strict: 10 s.
    pub head: Duration,
    /// How long a connection may be open without a request. Default: 75 s, as nginx's
    /// `keepalive_timeout`; strict: 30 s. After requests in quick succession it may fire late, by a
    /// sixteenth of its value but at most one second. The reason is that a busy connection does not
    /// read the clock for each request.
    pub keep_alive: Duration,
    /// How long the app waits for the next bytes of a request body. Then the body yields an error
    /// of kind [`TimedOut`](std::io::ErrorKind::TimedOut). Default: 60 s, as nginx's
    /// `client_body_timeout`; strict: 30 s.
    pub body_gap: Duration,
    /// How long a peer may read nothing while the server has data for it; then the connection is
    /// closed. Default: 60 s, as nginx's `send_timeout`; strict: 30 s. Progress is checked sixteen
    /// times in this period, so the timeout may fire late by a sixteenth.
    pub write_stall: Duration,
    /// How long an HTTP/2 peer may send nothing before the server sends a PING (RFC 9113 6.7).
    /// Without an acknowledgement within 20 s, the connection is closed. Default and strict: 30 s.
    pub ping: Duration,
    /// The maximum age of a connection. Then the server shuts it down gracefully, as in a drain:
    /// requests in flight finish. Upgraded connections are exempt. Default: off; strict: one hour,
    /// so that clients reconnect to a changed fleet.
    pub age: Duration,
    /// How long the app may take for the head of a response. Then its future is dropped and the
    /// response is 504. Default and strict: off, because only the app knows.
    pub request: Duration,
    /// The grace of a drain that [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown)
    /// began. Default: 30 s, as long as Kubernetes waits for a pod.
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
            ping: Duration::from_secs(30),
            age: Duration::MAX,
            request: Duration::MAX,
            drain: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// Timeouts for a server on the internet without a proxy.
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

    /// No timeouts except [`drain`](Self::drain): for a server behind a proxy that enforces them.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            handshake: Duration::MAX,
            head: Duration::MAX,
            keep_alive: Duration::MAX,
            body_gap: Duration::MAX,
            write_stall: Duration::MAX,
            ping: Duration::MAX,
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

    /// Sets [`ping`](Self::ping).
    #[must_use]
    pub fn with_ping(mut self, timeout: Duration) -> Self {
        self.ping = timeout;
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

    pub(crate) fn check(&self) -> Result<()> {
        for (name, timeout) in [
            ("handshake", self.handshake),
            ("head", self.head),
            ("keep_alive", self.keep_alive),
            ("body_gap", self.body_gap),
            ("write_stall", self.write_stall),
            ("ping", self.ping),
            ("age", self.age),
            ("request", self.request),
        ] {
            if timeout.is_zero() {
                return Err(Error::config(format!(
                    "Timeouts::{name} is zero, so it would fire at once: `Duration::MAX` turns it off"
                )));
            }
        }
        Ok(())
    }
}
