//! Connects to names over any connector.
use crate::{
    Connect, Resolve, SystemResolver,
    connect::Setup,
    family_memory::FamilyMemory,
    name::{Host, Name},
    order::{self, SourceAddress},
};
use anyport_core::{runtime::SharedTimer, transport::Connector};
use std::{fmt, time::Duration};

/// Connects to hosts by Happy Eyeballs version 2 ([RFC 8305]), over any [`Connector`].
///
/// A host has IPv6 and IPv4 addresses, and some may be dead. The addresses of both families are
/// looked up at the same time, sorted by [RFC 6724], and interleaved. The next address is tried
/// after 250 ms, or at once when an attempt fails. Attempts in flight continue. The first that
/// connects wins, and the others are dropped. Only the winner makes the handshake, such as TLS.
///
/// It runs on every runtime: it spawns no task, and the timer is the worker's. Clones share a
/// memory: for ten minutes, the family by which a host was reached is tried first. The memory holds
/// 256 hosts.
///
/// # Examples
///
/// ```
/// # use anyport_connect::{ConnectError, HappyEyeballs};
/// use anyport_core::{Connection, Runtime, runtime::Tokio, transport::Connector};
///
/// async fn connect<C: Connector>(connector: C) -> Result<C::Connection, ConnectError> {
///     let happy_eyeballs = HappyEyeballs::new(connector, Tokio::current().timer());
///     let connection = happy_eyeballs.connect("example.com", 443).await?;
///     println!("connected to {}", connection.info().peer());
///     Ok(connection)
/// }
/// ```
///
/// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
/// [RFC 6724]: https://www.rfc-editor.org/rfc/rfc6724
#[derive(Clone)]
pub struct HappyEyeballs<C, R = SystemResolver> {
    connector: C,
    resolver: R,
    timer: SharedTimer,
    config: Config,
    memory: FamilyMemory,
    source: SourceAddress,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Config {
    pub(crate) resolution_delay: Duration,
    pub(crate) attempt_delay: Duration,
    pub(crate) deadline: Duration,
    pub(crate) max_addresses: usize,
    pub(crate) max_in_flight: usize,
}

impl<C> HappyEyeballs<C> {
    /// Connects with `connector`, and looks names up as the system does.
    ///
    /// `timer` is the clock of the worker: `Tokio::current().timer()`, or
    /// [`runtime::local::timer()`](anyport_core::runtime::local::timer) on a runtime with a thread
    /// per core.
    pub fn new(connector: C, timer: SharedTimer) -> Self {
        Self {
            connector,
            resolver: SystemResolver::new(),
            timer,
            config: Config {
                resolution_delay: Duration::from_millis(50),
                attempt_delay: Duration::from_millis(250),
                deadline: Duration::from_secs(30),
                max_addresses: 16,
                max_in_flight: 8,
            },
            memory: FamilyMemory::default(),
            source: order::source_address,
        }
    }
}

impl<C, R> HappyEyeballs<C, R> {
    /// Sets the resolver. Default: [`SystemResolver`].
    #[must_use]
    pub fn with_resolver<R2>(self, resolver: R2) -> HappyEyeballs<C, R2> {
        HappyEyeballs {
            connector: self.connector,
            resolver,
            timer: self.timer,
            config: self.config,
            memory: self.memory,
            source: self.source,
        }
    }

    /// Sets how long IPv4 addresses wait for the answer about IPv6, if they are known first.
    /// Default: 50 ms (RFC 8305, section 3). If a host was last reached by IPv4, its IPv6 addresses
    /// wait for the answer about IPv4.
    #[must_use]
    pub fn with_resolution_delay(mut self, delay: Duration) -> Self {
        self.config.resolution_delay = delay;
        self
    }

    /// Sets the delay from the beginning of an attempt to the next one, if none fails before.
    /// Default: 250 ms. The value is clamped to 10 ms to 2 s (RFC 8305, section 5).
    #[must_use]
    pub fn with_attempt_delay(mut self, delay: Duration) -> Self {
        self.config.attempt_delay = delay.clamp(Duration::from_millis(10), Duration::from_secs(2));
        self
    }

    /// Sets the deadline of the lookup, the attempts and the handshake together. Default: 30 s.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.config.deadline = deadline;
        self
    }

    /// Sets how many addresses are tried. Default: 16. Of each family, only that many are sorted:
    /// the first ones of the answer. Zero counts as one.
    #[must_use]
    pub fn with_max_addresses(mut self, addresses: usize) -> Self {
        self.config.max_addresses = addresses.max(1);
        self
    }

    /// Sets how many attempts are in flight at the same time. Default: 8. Zero counts as one.
    ///
    /// With that many in flight, the next address waits until an attempt fails, or until the oldest
    /// attempt is 3 s old. That attempt is then given up for the next address. By then, TCP has
    /// sent its SYN twice (RFC 6298).
    #[must_use]
    pub fn with_max_in_flight(mut self, attempts: usize) -> Self {
        self.config.max_in_flight = attempts.max(1);
        self
    }

    #[cfg(test)]
    pub(crate) fn with_source(mut self, source: SourceAddress) -> Self {
        self.source = source;
        self
    }
}

impl<C: Connector, R: Resolve> HappyEyeballs<C, R> {
    /// Connects to a port of a host: a name, an IPv4 address, or an IPv6 address with or without
    /// brackets.
    ///
    /// An address needs no lookup, and neither does `localhost`, which is `::1` and `127.0.0.1`.
    ///
    /// # Contract
    ///
    /// Nothing happens before the first poll. Dropping the future drops its attempts, which closes
    /// their sockets. It is `Send` if the connector's futures and the resolver's answers are.
    pub fn connect(&self, host: &str, port: u16) -> Connect<C, R> {
        match Host::parse(host) {
            Ok(host) => Connect::new(Setup {
                connector: self.connector.clone(),
                resolver: self.resolver.clone(),
                timer: self.timer.clone(),
                config: self.config,
                memory: self.memory.clone(),
                source: self.source,
                name: Name { host, port },
            }),
            Err(why) => Connect::invalid(host, why),
        }
    }
}

impl<C, R: fmt::Debug> fmt::Debug for HappyEyeballs<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HappyEyeballs")
            .field("resolver", &self.resolver)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
