//! Events of connections and servers, for metrics and logs.
//!
//! With the feature `tracing`, a server logs its [`Event`]s to `tracing`, unless
//! `Server::without_logging` is set. Beside that log, an [`Observer`] of yours gets each event.
//! [`OpenConnections`] counts the open connections, and [`DrainReport`] says how a drain has ended.
//!
//! This layer must not depend on the code that emits the events.
mod observers;
mod open_connections;
mod report;
#[cfg(feature = "tracing")]
mod tracing;

pub(crate) use observers::Observers;
pub use open_connections::OpenConnections;
pub use report::DrainReport;

use crate::transport::{AcceptErrorKind, ConnInfo, Endpoint};
use std::{io, time::Duration};

/// Receives the events of a server and its connections; set by
/// [`Server::observer`](crate::Server::observer).
///
/// Every event occurs at most a few times per connection. To observe requests, use tower layers.
/// Without an observer and without the feature `tracing`, no event is created.
///
/// The workers call it synchronously, so it must not block: let it count, or send to another
/// thread. A panic in it is caught and ignored.
///
/// ```
/// use anyport_core::observe::{Event, Observer};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Default)]
/// struct Refusals(AtomicU64);
///
/// impl Observer for Refusals {
///     fn on(&self, event: &Event<'_>) {
///         if let Event::Refused { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Handles an event.
    fn on(&self, event: &Event<'_>);
}

/// An event of a server, a listener or a connection.
///
/// Each accepted connection has exactly one `Accepted` event and, at its end, one `Closed` event
/// with the same `id`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server listens. Occurs once per transport, before the first connection is accepted.
    Listening {
        /// The address, with port 0 resolved. An `.await`ed server, which has no
        /// [`Handle`](crate::Handle), reports it here.
        endpoint: &'a Endpoint,
    },
    /// Something works, but not as its operator expects:
    /// [`Worker::warn`](crate::runtime::Worker::warn).
    Warning {
        /// The index of the worker.
        worker: usize,
        /// What happened, where, and what to do.
        message: &'a str,
    },
    /// A connection was accepted; its handshake begins.
    Accepted {
        /// The connection's number, as in [`ConnInfo::id`].
        id: u64,
        /// The peer's address.
        peer: &'a Endpoint,
        /// The index of the worker.
        worker: usize,
    },
    /// A connection was closed as soon as it had been accepted. The client of a proxy is refused
    /// after the handshake instead: that connection also has an `Accepted` and a `Closed` event.
    Refused {
        /// The peer's address: behind a proxy, the client's.
        peer: &'a Endpoint,
        /// The reason.
        why: Refusal,
    },
    /// Accepting failed. With [`AcceptErrorKind::Backoff`], the worker waits before it retries.
    AcceptFailed {
        /// The error of accept(2).
        error: &'a io::Error,
        /// Its classification.
        kind: AcceptErrorKind,
        /// The index of the worker.
        worker: usize,
        /// How long the worker waits; zero if it does not.
        wait: Duration,
    },
    /// The handshake succeeded, and the connection's protocol begins.
    Established {
        /// The facts about the connection, with those of the handshake.
        info: &'a ConnInfo,
    },
    /// The handshake failed.
    HandshakeFailed {
        /// The connection's number.
        id: u64,
        /// The error; a timeout has the kind [`TimedOut`](io::ErrorKind::TimedOut).
        error: &'a io::Error,
    },
    /// A timeout fired and ends a connection, a stream or a request.
    TimedOut {
        /// The connection's number.
        id: u64,
        /// The timeout.
        what: TimedOut,
    },
    /// The app, or a protocol, panicked.
    Panicked {
        /// The connection's number.
        id: u64,
        /// The message of the panic.
        message: &'a str,
    },
    /// The app's response violated HTTP. The server corrected it, truncated it, or sent 500
    /// instead.
    BadResponse {
        /// The connection's number.
        id: u64,
        /// The violation and the server's reaction.
        what: &'a str,
    },
    /// The server is draining. Occurs at the beginning of the drain, and then when the number of
    /// remaining connections has changed, at most once a second.
    Draining {
        /// The remaining connections.
        remaining: OpenConnections,
        /// The time after which the remaining connections are aborted. [`Duration::MAX`]: never.
        grace: Duration,
    },
    /// The drain is over. Occurs once, before the server's future is ready. It follows a `Draining`
    /// event: a server that is aborted without a drain has neither.
    Drained {
        /// What became of the connections.
        report: DrainReport,
    },
    /// A connection is closed, and all its resources are released.
    Closed {
        /// The connection's number.
        id: u64,
        /// Whether the connection was upgraded, to WebSocket for example.
        upgraded: bool,
        /// Whether the connection was aborted at the end of a drain's grace.
        aborted: bool,
    },
}

/// The reason why a connection was closed as soon as its client was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// [`Server::accept_filter`](crate::Server::accept_filter) rejected the peer.
    Filter,
    /// The peer's address has [`Limits::connections_per_ip`](crate::Limits::connections_per_ip)
    /// connections already.
    PerIp,
}

/// The timeout of [`Timeouts`](crate::Timeouts) that fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimedOut {
    /// [`Timeouts::head`](crate::Timeouts::head).
    Head,
    /// [`Timeouts::keep_alive`](crate::Timeouts::keep_alive).
    KeepAlive,
    /// [`Timeouts::write_stall`](crate::Timeouts::write_stall).
    WriteStall,
    /// [`Timeouts::age`](crate::Timeouts::age).
    Age,
    /// [`Timeouts::body_gap`](crate::Timeouts::body_gap).
    BodyGap,
    /// [`Timeouts::request`](crate::Timeouts::request).
    Request,
}
