//! The state that the handshakes of a worker share: the configuration, and the slots for their
//! computations.
use crate::TlsConfig;
use rustls::ServerConfig;
use std::{fmt, future::Future, io, pin::Pin, sync::Arc};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The state that the handshakes of a worker share.
pub(crate) struct WorkerTls {
    config: TlsConfig,
    alpn: &'static [&'static [u8]],
    slots: Arc<Semaphore>,
}

/// Permission to compute the next step of a handshake.
///
/// Between two computations that take long, such as a signature, all other ready tasks of the
/// worker are polled. Thousands of ClientHellos that arrive at once therefore delay an established
/// connection by one computation at a time. The slot is released while a handshake waits for its
/// peer, so stalled peers block no other handshake.
pub(crate) type CryptoSlot = OwnedSemaphorePermit;

pub(crate) type AcquireSlot =
    Pin<Box<dyn Future<Output = Result<CryptoSlot, AcquireError>> + Send>>;

impl WorkerTls {
    /// `slots`: how many handshakes compute at the same time.
    pub(crate) fn new(config: TlsConfig, alpn: &'static [&'static [u8]], slots: usize) -> Self {
        Self {
            config,
            alpn,
            slots: Arc::new(Semaphore::new(slots)),
        }
    }

    /// Whether the app is served over HTTP, judging by the server's ALPN protocols.
    pub(crate) fn serves_http(&self) -> bool {
        !self.alpn.is_empty()
    }

    /// Whether a client that sends plain HTTP is redirected to `https://`.
    pub(crate) fn redirects(&self) -> bool {
        self.config.redirects()
    }

    /// The current configuration, which a reload replaces.
    pub(crate) fn config(&self) -> io::Result<Arc<ServerConfig>> {
        self.config.current(self.alpn).map_err(io::Error::other)
    }

    pub(crate) fn acquire_crypto_slot(&self) -> AcquireSlot {
        Box::pin(Arc::clone(&self.slots).acquire_owned())
    }
}

impl fmt::Debug for WorkerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}
