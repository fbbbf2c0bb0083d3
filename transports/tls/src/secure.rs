//! What the handshakes of a worker share: the configuration, and the slots for their computations.
use crate::TlsConfig;
use rustls::ServerConfig;
use std::{fmt, future::Future, io, pin::Pin, sync::Arc};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// What the handshakes of a worker share.
pub(crate) struct Secure {
    config: TlsConfig,
    alpn: &'static [&'static [u8]],
    slots: Arc<Semaphore>,
}

/// The right to compute what a handshake needs next.
///
/// Handshakes take turns: between two that compute a signature or the like, everything else is
/// polled that's ready on the worker. So thousands of ClientHellos that arrive at once delay the
/// connections that are established by a signature each time, not by thousands. It isn't kept while
/// the peer is waited for: peers that fall silent in the middle of a handshake hold nobody out.
pub(crate) type Slot = OwnedSemaphorePermit;

/// Waits for a [`Slot`].
pub(crate) type Turn = Pin<Box<dyn Future<Output = Result<Slot, AcquireError>> + Send>>;

impl Secure {
    /// `slots`: how many answers are computed at once.
    pub(crate) fn new(config: TlsConfig, alpn: &'static [&'static [u8]], slots: usize) -> Self {
        Self {
            config,
            alpn,
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    /// Whether it's HTTP that's served, as far as ALPN has a name for it.
    pub(crate) fn speaks_http(&self) -> bool {
        !self.alpn.is_empty()
    }

    /// Whether a client that speaks HTTP without TLS is sent to where there is TLS.
    pub(crate) fn redirects(&self) -> bool {
        self.config.redirects()
    }

    /// The configuration as it is now.
    pub(crate) fn config(&self) -> io::Result<Arc<ServerConfig>> {
        self.config.current(self.alpn).map_err(io::Error::other)
    }

    pub(crate) fn turn(&self) -> Turn {
        Box::pin(Arc::clone(&self.slots).acquire_owned())
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}
