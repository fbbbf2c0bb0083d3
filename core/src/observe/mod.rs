//! Events of connections and servers, for metrics and logs.
//!
//! This layer defines events and reports. It does not know which code emits them.
mod open_connections;
mod report;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;
pub use open_connections::OpenConnections;
pub use report::DrainReport;

use crate::transport::{AcceptErrorKind, ConnInfo, Endpoint};
use std::{io, time::Duration};

/// Is told what happens to a server's connections; set by
/// [`Server::observer`](crate::Server::observer).
///
/// Everything here is once per connection or rarer: requests are a matter for tower layers. Without
/// an observer nothing is gathered.
///
/// It's called on the workers, in the middle of their work: count, or hand over, but don't block. A
/// panic in it is swallowed.
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
    /// Something happened.
    fn on(&self, event: &Event<'_>);
}

/// Something that happened to a server, a listener or a connection.
///
/// Each accepted connection has exactly one `Accepted` and, at its end, one `Closed`, with the same
/// `id`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server listens: once for each transport, before the first connection is accepted.
    Listening {
        /// Where, with port 0 resolved; also for a server that's `.await`ed and so has no
        /// [`Handle`](crate::Handle).
        endpoint: &'a Endpoint,
    },
    /// Something works, but not as its operator expects:
    /// [`Worker::warn`](crate::runtime::Worker::warn).
    Warning {
        /// The index of the worker.
        worker: usize,
        /// What, where, and what to do.
        message: &'a str,
    },
    /// A connection was accepted; its handshake begins.
    Accepted {
        /// Its number, as in [`ConnInfo::id`].
        id: u64,
        /// Who connected.
        peer: &'a Endpoint,
        /// The index of the worker.
        worker: usize,
    },
    /// A connection was closed as soon as it had been accepted.
    Refused {
        /// Who connected.
        peer: &'a Endpoint,
        /// Why.
        why: Refusal,
    },
    /// Accepting failed. With [`AcceptErrorKind::Backoff`], the worker waits a little now.
    AcceptFailed {
        /// What accept(2) said.
        error: &'a io::Error,
        /// What's made of it.
        kind: AcceptErrorKind,
        /// The index of the worker.
        worker: usize,
        /// How long the worker waits, if it does.
        wait: Duration,
    },
    /// The handshake succeeded; what the connection speaks begins.
    Established {
        /// What's known of it now.
        info: &'a ConnInfo,
    },
    /// The handshake failed.
    HandshakeFailed {
        /// The connection's number.
        id: u64,
        /// Why; a timeout has the kind [`TimedOut`](io::ErrorKind::TimedOut).
        error: &'a io::Error,
    },
    /// A deadline passed, and a connection, a stream or a request ends because of it, or begins to.
    TimedOut {
        /// The connection's number.
        id: u64,
        /// Which one.
        what: TimedOut,
    },
    /// The app, or a protocol, panicked.
    Panicked {
        /// The connection's number.
        id: u64,
        /// What the panic said.
        message: &'a str,
    },
    /// The app's response broke a rule of HTTP. It was sent as it should have been, or 500 instead
    /// of it, or it was cut short.
    BadResponse {
        /// The connection's number.
        id: u64,
        /// What was wrong, and what became of it.
        what: &'a str,
    },
    /// The server drains: told when that begins, and every five seconds from then on, as long as
    /// connections are left.
    Draining {
        /// What's open.
        left: OpenConnections,
        /// When what's still open then is cut off. [`Duration::MAX`]: never.
        grace: Duration,
    },
    /// A connection is gone, with all that was left of it.
    Closed {
        /// Its number.
        id: u64,
        /// It spoke something else in the end, such as WebSocket.
        upgraded: bool,
        /// It was cut off at the end of a drain's grace.
        aborted: bool,
    },
}

/// Why a connection was closed as soon as it had been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// By [`Server::accept_filter`](crate::Server::accept_filter).
    Filter,
    /// Its address has [`Limits::connections_per_ip`](crate::Limits::connections_per_ip)
    /// connections already.
    PerIp,
}

/// Which deadline of [`Timeouts`](crate::Timeouts) passed.
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
