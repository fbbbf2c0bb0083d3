//! The trait that the test target of a connector implements for the suite.
use super::Peers;
use anyport_core::{
    Result,
    transport::{Connector, Target},
};
use std::{any::Any, future::Future, io};

/// A connector under test: how to create it, how to run it, and what it connects to.
pub trait ConnectorSubject: Send + Sync + 'static {
    /// The prefix of the names of its cases.
    const NAME: &str;

    /// The connector under test.
    type Connector: Connector;

    /// The listening peers.
    type Peers: Peers;

    /// Starts a listener at a free endpoint of this machine, on tokio. Each case gets its own.
    fn listen(&self) -> impl Future<Output = io::Result<Self::Peers>> + Send;

    /// Creates a connector for this target, on a worker of its runtime.
    fn connector(&self, target: &Target) -> Self::Connector;

    /// Runs a future on a worker of the connector's runtime, and waits for its output. Call
    /// [`block_on`](anyport_core::runtime::block_on).
    ///
    /// # Errors
    ///
    /// The worker cannot start.
    fn run<F>(&self, make: impl FnOnce() -> F + Send + 'static) -> Result<F::Output>
    where
        F: Future<Output: Send + 'static> + 'static;

    /// A target of the right kind, at which nothing listens.
    fn refusing(&self) -> Target;

    /// A target of another kind.
    fn unsupported(&self) -> Target;

    /// A target that neither accepts nor refuses, for as long as the value beside it lives. `None`:
    /// an attempt of this connector never waits. Default: `None`.
    fn silent(&self) -> Option<(Target, Box<dyn Any + Send>)> {
        None
    }

    /// Whether the second phase needs the peer. Default: no.
    fn has_handshake(&self) -> bool {
        false
    }

    /// Whether a connection reports when it is readable, so that it is pending before bytes come.
    /// Default: yes, unless there is a handshake.
    fn reports_readiness(&self) -> bool {
        !self.has_handshake()
    }

    /// Whether a connection has a descriptor. Default: yes.
    fn has_descriptors(&self) -> bool {
        true
    }

    /// The reason why the connector cannot be tested on this machine. Its cases are then ignored
    /// with this reason. Default: `None`.
    fn unavailable(&self) -> Option<String> {
        None
    }
}
