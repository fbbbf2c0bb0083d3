//! Timeouts for each phase of a connection and of a request.
use crate::error::{Error, Result};
use std::time::Duration;

/// How long anything may take. `Duration::MAX` turns a deadline off.
///
/// Three presets to begin with: [`default`](Self::default) suits most servers,
/// [`strict`](Self::strict) one that faces the internet without a proxy,
/// [`disabled`](Self::disabled) one behind a proxy that holds the deadlines.
///
/// ```
/// # use anyport_core::Timeouts;
/// # use std::time::Duration;
/// let timeouts = Timeouts::default().with_drain(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a transport's handshake, such as TLS. Default: 10 s, as Go's `TLSHandshakeTimeout`;
    /// strict: 5 s.
    pub handshake: Duration,
    /// For the head of a request: from the connection's start (after its handshake) or from the
    /// head's first byte. Default: 30 s, as hyper's; strict: 10 s.
    pub head: Duration,
    /// How long a connection may be without a request. Default: 75 s, as nginx's
    /// `keepalive_timeout`; strict: 30 s. After requests in quick succession it may be late, by a
    /// sixteenth or a second at the most: a busy connection isn't asked the time for each.
    pub keep_alive: Duration,
    /// How long an app that waits for the next bytes of a request's body may have to; then reading
    /// the body is an error of kind [`TimedOut`](std::io::ErrorKind::TimedOut). Default: 60 s, as
    /// nginx's `client_body_timeout`; strict: 30 s.
    pub body_gap: Duration,
    /// How long a peer may read nothing of what it's sent, before the connection is cut off.
    /// Default: 60 s, as nginx's `send_timeout`; strict: 30 s. What a slow reader reads is noticed
    /// sixteen times in it, so it may be late by a sixteenth.
    pub write_stall: Duration,
    /// How long an HTTP/2 peer may be silent before it's asked for a sign of life (PING, RFC 9113
    /// 6.7); if there's none within 20 s, the connection is closed. Default and strict: 30 s.
    pub ping: Duration,
    /// How old a connection may become. Then it's told to end as in a drain, and what it's doing
    /// may finish. Not for upgraded ones. Default: off; strict: one hour, so that clients come back
    /// to a changed fleet.
    pub age: Duration,
    /// How long the app may take for the head of a response; then it's dropped and the request is
    /// answered 504. Default and strict: off, since only the app knows.
    pub request: Duration,
    /// How long a drain may take that
    /// [`with_graceful_shutdown`](crate::Server::with_graceful_shutdown) began. Default: 30 s, as
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
            ping: Duration::from_secs(30),
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
                    "Timeouts::{name} is zero, so it would be over at once: `Duration::MAX` turns it off"
                )));
            }
        }
        Ok(())
    }
}
