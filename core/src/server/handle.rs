//! The handle of a running server.
use crate::{
    engine::ServerState,
    error::Result,
    observe::{DrainReport, OpenConnections},
    transport::Endpoint,
};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A running server: its addresses, its open connections, and its shutdown. It is cheap to clone.
/// Dropping it has no effect.
///
/// ```no_run
/// # use anyport_core::{Result, Server};
/// # use std::time::Duration;
/// # async fn f(server: Server) -> Result<()> {
/// let handle = server.start()?;
/// println!("{} on {}", handle.open(), handle.endpoints()[0]);
/// let report = handle.shutdown(Duration::from_secs(10)).await?;
/// println!("{report}"); // drained: 211 completed, 0 aborted; 3 were upgraded
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Handle {
    shared: Arc<ServerState>,
    endpoints: Arc<[Endpoint]>,
}

impl Handle {
    pub(super) fn new(shared: Arc<ServerState>, endpoints: Arc<[Endpoint]>) -> Self {
        Self { shared, endpoints }
    }

    pub(super) fn shared(&self) -> &ServerState {
        &self.shared
    }

    /// The addresses of the server, with port 0 resolved: one endpoint for each transport, in
    /// order.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The number of open connections, upgraded ones included. The workers are counted one after
    /// another, so a connection that opens or closes during the call may be counted twice or not at
    /// all.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// The open connections by state: to watch a drain.
    #[must_use]
    pub fn open(&self) -> OpenConnections {
        self.shared.open()
    }

    /// Drains the server. The drain begins with this call and continues whether or not the returned
    /// future is awaited.
    ///
    /// 1. For a quarter of the grace, at most one second, the server continues to accept and serve,
    ///    but asks every peer to reconnect: `Connection: close` in each HTTP/1 response, GOAWAY on
    ///    HTTP/2. A server without connections skips this step.
    /// 2. It accepts the connections that the kernel has queued, closes its sockets and its idle
    ///    connections, and lets the others finish.
    /// 3. At the end of `grace`, it aborts the remaining connections.
    ///
    /// A peer cannot delay the drain by an incomplete handshake, head or body. From the beginning
    /// of the drain it has a tenth of the grace, but at least a second. Then its connection is
    /// closed and counted as [`stalled`](crate::observe::DrainReport::stalled).
    ///
    /// So every accepted request that the app answers within the grace gets its response. A second
    /// call can only shorten the grace.
    pub fn shutdown(&self, grace: Duration) -> Wait {
        self.shared.drain(grace);
        self.wait()
    }

    /// Ends the server at once: aborts every connection.
    pub fn abort(&self) -> Wait {
        self.shared.abort();
        self.wait()
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    ///
    /// Accepting failed permanently, or a worker panicked. The other workers were drained first.
    pub fn wait(&self) -> Wait {
        Wait {
            shared: Arc::clone(&self.shared),
            key: None,
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("endpoints", &self.endpoints)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Ready when the server has ended; see [`Handle::wait`] and [`Handle::shutdown`]. It works on any
/// runtime.
#[derive(Debug)]
pub struct Wait {
    shared: Arc<ServerState>,
    key: Option<usize>,
}

impl Future for Wait {
    type Output = Result<DrainReport>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        me.shared.poll_end(&mut me.key, cx)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.shared.stop_waiting(key);
        }
    }
}
