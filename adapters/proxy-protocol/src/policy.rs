//! From whom a header is read.
use crate::Trusted;
use std::time::Duration;

/// From whom a PROXY header is read, and what happens to other peers.
///
/// The protocol forbids to guess: a trusted peer always sends a header, and no other peer's header
/// is ever read.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(crate) trusted: Trusted,
    pub(crate) others: Others,
    pub(crate) timeout: Duration,
}

/// What happens to a peer that is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Refused,
    Ordinary,
}

/// The protocol asks for at least three seconds, so that one lost packet is sent again.
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

    /// Trusted peers must send a header; other peers are ordinary clients. A header of theirs is
    /// data, so HTTP answers it 400.
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

    /// How long a trusted peer may take to send its header, after the handshake below. Default: 5
    /// seconds. The server's timeout for handshakes holds as well.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
