//! The policy: which peers must send a header.
use crate::Trusted;
use std::time::Duration;

/// Which peers must send a PROXY header, and what happens to other peers.
///
/// The protocol forbids the server to guess. So a trusted peer must always send a header, and the
/// header of any other peer is never read.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) trusted: Trusted,
    pub(crate) others: Others,
    pub(crate) timeout: Duration,
}

/// How an untrusted peer is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Refused,
    Ordinary,
}

/// The protocol requires at least three seconds, so that one lost packet can be sent again.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Policy {
    /// Trusted peers must send a header; connections of other peers are closed.
    ///
    /// ```
    /// # use anyport_proxy_protocol::{Policy, Trusted};
    /// let tcp = Policy::required_from(["10.0.0.0/8", "2001:db8::/32"]);
    /// let unix = Policy::required_from(Trusted::unix());
    /// ```
    pub fn required_from(trusted: impl Into<Trusted>) -> Self {
        Self::new(trusted.into(), Others::Refused)
    }

    /// Trusted peers must send a header; other peers are ordinary clients. A header of such a
    /// client is data, so HTTP responds with 400 to it.
    pub fn only_from(trusted: impl Into<Trusted>) -> Self {
        Self::new(trusted.into(), Others::Ordinary)
    }

    fn new(trusted: Trusted, others: Others) -> Self {
        Self {
            trusted,
            others,
            timeout: TIMEOUT,
        }
    }

    /// How long a trusted peer may take to send its header, after the inner handshake. Default: 5
    /// seconds. The server's timeout for handshakes applies as well.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
