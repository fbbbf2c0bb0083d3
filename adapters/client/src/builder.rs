//! The settings of a client.
use crate::{
    Client, MakeConnection,
    client_runtime::{Ambient, ClientRuntime, PerWorker},
    config::Config,
    request_body::ClientBody,
};
use std::time::Duration;

/// Builds a [`Client`].
///
/// | setting | default |
/// |---|---|
/// | [`max_per_origin`](Self::max_per_origin) | 64 connections |
/// | [`max_total`](Self::max_total) | 1024 connections |
/// | [`idle_timeout`](Self::idle_timeout) | 60 s |
/// | [`max_age`](Self::max_age) | 1 h |
/// | [`connect_timeout`](Self::connect_timeout) | 30 s |
/// | [`queue_timeout`](Self::queue_timeout) | 30 s |
/// | [`head_timeout`](Self::head_timeout), [`body_timeout`](Self::body_timeout), [`timeout`](Self::timeout) | none |
#[derive(Clone, Debug)]
pub struct Builder<F> {
    factory: F,
    config: Config,
}

impl<F: MakeConnection> Builder<F> {
    /// Settings with their defaults, for connections that `factory` makes.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            config: Config::default(),
        }
    }

    /// Sets how many connections an origin may have, attempts and upgraded ones included. Zero
    /// counts as one.
    #[must_use]
    pub fn max_per_origin(mut self, connections: usize) -> Self {
        self.config.limits.max_per_origin = connections.max(1);
        self
    }

    /// Sets how many connections there may be in all. When they are reached, an idle connection of
    /// another origin is closed for a new one. Zero counts as one.
    #[must_use]
    pub fn max_total(mut self, connections: usize) -> Self {
        self.config.limits.max_total = connections.max(1);
        self
    }

    /// Sets how long a connection may be idle. It should be less than the server's own limit.
    ///
    /// A random part of at most a tenth is subtracted for each connection, so that connections that
    /// were opened together do not close together.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.config.limits.idle_timeout = timeout;
        self
    }

    /// Sets how long a connection may live, minus a random part of up to a tenth. Then it closes as
    /// soon as it has no request. So changed addresses of a host take effect.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.config.limits.max_age = age;
        self
    }

    /// Sets how long an attempt to connect may take, handshakes included. An attempt outlives the
    /// request that it was made for.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeouts.connect = timeout;
        self
    }

    /// Sets how long a request may wait for a connection: a free one, or a new one.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeouts.queue = timeout;
        self
    }

    /// Sets how long the head of a response may take, from the time when the request has a
    /// connection. It includes the upload of the request's body.
    #[must_use]
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeouts.head = timeout;
        self
    }

    /// Sets how long the body of a response may pause while it is read.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.config.timeouts.body = timeout;
        self
    }

    /// Sets how long a request may take in all, from its first poll to the end of its response's
    /// body.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeouts.whole = timeout;
        self
    }

    /// Speaks HTTP/2 on every connection, whatever ALPN says: with prior knowledge (RFC 9113,
    /// section 3.3).
    #[must_use]
    pub fn http2_only(mut self) -> Self {
        self.config.is_http2_only = true;
        self
    }

    /// Never sends a request again. It saves the copy that each repeatable request needs.
    #[must_use]
    pub fn without_retries(mut self) -> Self {
        self.config.does_not_retry = true;
        self
    }

    /// Makes a client on the ambient tokio. `B` is the type of request bodies.
    pub fn build<B: ClientBody>(self) -> Client<F, B>
    where
        Ambient: ClientRuntime<F, B>,
    {
        Client::with_config(self.factory, self.config)
    }

    /// Makes a client on the current worker of the runtime `R`, such as `MonoioPerCore`. Call it on
    /// the worker: in [`per_worker`](anyport_core::per_worker), or in
    /// [`block_on`](anyport_core::runtime::block_on). Each worker has a pool of its own.
    pub fn build_per_worker<R, B: ClientBody>(self) -> Client<F, B, PerWorker<R>>
    where
        PerWorker<R>: ClientRuntime<F, B>,
    {
        Client::with_config(self.factory, self.config)
    }
}
