//! The workers of a transport: their number, and the facts that one worker has about itself.
use super::panics;
use crate::{
    config::{Limits, Timeouts},
    error::{Error, Result},
};
use std::{any::Any, fmt, num::NonZeroUsize, sync::Arc};

/// How many workers a transport gets. Each has a listening socket and an accept loop of its own.
///
/// Set for one transport by its builder, or for all of a server by
/// [`Server::workers`](crate::Server::workers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Workers {
    /// One accept loop on the runtime that the server is started in, which spreads the connections
    /// over its own threads.
    Ambient,
    /// One for each core that this process may run on.
    PerCore,
    /// This many; zero is an error at start.
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
                "zero workers would serve nobody: use Workers::Count(1) or more, or Workers::PerCore",
            )),
            Self::Count(n) => Ok(n),
        }
    }
}

/// Which worker this is: what an app that's made per worker gets to know.
#[derive(Clone)]
pub struct Worker {
    pub(crate) index: usize,
    pub(crate) count: usize,
    pub(crate) pin: bool,
    pub(crate) alpn: &'static [&'static [u8]],
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    /// Where warnings go.
    pub(crate) warn: Option<Arc<Warn>>,
    pub(crate) runtime_options: Option<RuntimeOptions>,
    /// Where its transport listens, for people to read.
    pub(crate) endpoint: Option<Arc<str>>,
}

/// Takes a warning, with the index of the worker that it comes from.
pub(crate) type Warn = dyn Fn(usize, &str) + Send + Sync;

/// What a transport asks of its runtime: a value of a type that both know.
pub type RuntimeOptions = Arc<dyn Any + Send + Sync>;

impl Worker {
    /// One of `count` workers. The server makes its own; this is for tests of an
    /// [`App`](crate::App) or a [`Transport`](crate::Transport).
    ///
    /// # Panics
    ///
    /// If `index` isn't below `count`.
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

    /// The same where this is served, as ALPN names it, the preferred one first: for whoever serves
    /// a [`Transport`](crate::Transport) without anyport's server.
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

    /// What's served, as ALPN names it (RFC 7301), the preferred one first: `h2` and `http/1.1`, as
    /// far as the server speaks them. For a transport whose handshake chooses. Empty where
    /// something other than HTTP is served.
    #[must_use]
    pub fn alpn(&self) -> &'static [&'static [u8]] {
        self.alpn
    }

    /// How much peers may take of the server: for a transport that has limits of its own to set,
    /// such as QUIC's number of streams. Beside a server, the defaults.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How long peers may take: for a transport that has timeouts of its own to set, such as QUIC's
    /// idle timeout. Beside a server, the defaults.
    #[must_use]
    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// What its transport asks of its runtime
    /// ([`Transport::runtime_options`](crate::Transport::runtime_options)), if it's of this type:
    /// for a runtime that starts a worker, and leaves a choice.
    #[must_use]
    pub fn runtime_options<T: Any>(&self) -> Option<&T> {
        self.runtime_options.as_ref()?.downcast_ref()
    }

    /// Tells the server's observer of something that works, but not as its operator expects: a
    /// certificate that's about to expire, a slower way that had to be taken. For a transport, when
    /// it begins to listen; one line that says what, where and what to do.
    pub fn warn(&self, message: &str) {
        if let Some(warn) = &self.warn {
            let _ = panics::catch(|| warn(self.index, message));
        }
    }
}

/// As errors name it: a server may have several transports.
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
