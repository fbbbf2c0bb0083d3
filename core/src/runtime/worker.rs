//! The workers of a transport: their number, and the facts that one worker has about itself.
use super::panics;
use crate::{
    config::{Limits, Timeouts},
    error::{Error, Result},
};
use std::{any::Any, fmt, num::NonZeroUsize, sync::Arc};

/// The number of workers of a transport. Each worker has its own listening socket and accept loop.
///
/// The transport's builder sets it for one transport, [`Server::workers`](crate::Server::workers)
/// for all of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Workers {
    /// One accept loop on the runtime that the server is started in, which distributes the
    /// connections over its threads.
    Ambient,
    /// One worker per core that this process may run on.
    PerCore,
    /// A number of workers; zero is an error at start.
    Count(usize),
}

impl From<usize> for Workers {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl Workers {
    pub(crate) fn count(self) -> Result<usize> {
        match self {
            Self::Ambient => Ok(1),
            Self::PerCore => Ok(std::thread::available_parallelism().map_or(1, NonZeroUsize::get)),
            Self::Count(0) => Err(Error::config(
                "zero workers cannot serve: use Workers::Count(1) or more, or Workers::PerCore",
            )),
            Self::Count(n) => Ok(n),
        }
    }
}

/// One worker, as [`per_worker`](crate::per_worker) and [`App::make`](crate::App::make) get it.
#[derive(Clone)]
pub struct Worker {
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) pin: bool,
    pub(crate) alpn: &'static [&'static [u8]],
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    /// Receives the warnings.
    pub(crate) warn: Option<Arc<Warn>>,
    pub(crate) runtime_options: Option<RuntimeOptions>,
    /// The address of its transport, for messages.
    pub(crate) endpoint: Option<Arc<str>>,
}

/// Receives a warning and the index of its worker.
pub(crate) type Warn = dyn Fn(usize, &str) + Send + Sync;

/// Options of a transport for its runtime: a value whose type both of them name.
pub type RuntimeOptions = Arc<dyn Any + Send + Sync>;

impl Worker {
    /// One of `count` workers. The server makes its own; this is for tests of an
    /// [`App`](crate::App) or a [`Transport`](crate::Transport).
    ///
    /// # Panics
    ///
    /// If `index` is not below `count`.
    #[must_use]
    pub fn new(index: usize, count: usize) -> Self {
        assert!(
            index < count,
            "worker {index} of {count}: indices are below the count"
        );
        Self {
            index,
            count,
            pin: false,
            alpn: &[],
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            warn: None,
            runtime_options: None,
            endpoint: None,
        }
    }

    /// Sets the ALPN protocols, the preferred one first: to serve a [`Transport`](crate::Transport)
    /// without anyport's server.
    #[must_use]
    pub fn with_alpn(mut self, protocols: &'static [&'static [u8]]) -> Self {
        self.alpn = protocols;
        self
    }

    /// Its index among the workers of its transport, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many workers the transport has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The ALPN protocols (RFC 7301) of the server, the preferred one first: `h2` and `http/1.1`,
    /// if enabled. A transport whose handshake negotiates offers them. The list is empty if the
    /// server does not serve HTTP.
    #[must_use]
    pub fn alpn(&self) -> &'static [&'static [u8]] {
        self.alpn
    }

    /// The server's limits: for a transport with its own limits, such as QUIC's number of streams.
    /// Without a server, they are the defaults.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The server's timeouts: for a transport with its own timeouts, such as QUIC's idle timeout.
    /// Without a server, they are the defaults.
    #[must_use]
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The transport's options for its runtime
    /// ([`Transport::runtime_options`](crate::Transport::runtime_options)), if they have this type.
    #[must_use]
    pub fn runtime_options<T: Any>(&self) -> Option<&T> {
        self.runtime_options.as_ref()?.downcast_ref()
    }

    /// Sends a warning to the server's observer: something works, but not as its operator expects.
    /// Examples are a certificate that expires soon or a slower fallback. A transport calls it when
    /// it begins to listen. The warning is one line that says what, where, and what to do.
    pub fn warn(&self, message: &str) {
        if let Some(warn) = &self.warn {
            let _ = panics::catch(|| warn(self.index, message));
        }
    }
}

/// The address is shown as in error messages, because a server may have several transports.
impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.index)?;
        match &self.endpoint {
            Some(endpoint) => write!(f, " of {endpoint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("index", &self.index)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
