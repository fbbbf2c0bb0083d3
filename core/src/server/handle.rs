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

/// A running server: where it listens, how busy it is, and how to end it. Cheap to clone; dropping
/// it does nothing.
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

    /// Where the server listens, with port 0 resolved: one endpoint for each transport, in their
    /// order.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// How many connections are open, upgraded ones included. The workers are asked one after
    /// another: connections that come and go meanwhile may be counted twice, or not at all.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }

    /// What those connections are: for whoever waits for a drain.
    #[must_use]
    pub fn open(&self) -> OpenConnections {
        self.shared.open()
    }

    /// Drains the server; it begins at this call, and goes on whether or not the returned future is
    /// awaited.
    ///
    /// 1. For a quarter of the grace, one second at most, it goes on accepting and serving, but
    ///    tells every peer to go elsewhere: `Connection: close` in each HTTP/1 response, GOAWAY on
    ///    HTTP/2. A server without a connection skips this.
    /// 2. It accepts what the kernel has queued, closes its sockets and its idle connections, and
    ///    lets the others finish.
    /// 3. What's still open when `grace` is over is aborted.
    ///
    /// A peer that owes the rest of a handshake, a head or a body decides nothing: from the
    /// beginning of the drain it has a tenth of the grace, and a second at least. Then its
    /// connection is closed, and counted as [`stalled`](crate::observe::DrainReport::stalled).
    ///
    /// So no accepted request goes unanswered within the grace. A second call can only shorten the
    /// first one's grace.
    pub fn shutdown(&self, grace: Duration) -> Wait {
        self.shared.drain(grace);
        self.wait()
    }

    /// Ends the server at once: every connection is cut off.
    pub fn abort(&self) -> Wait {
        self.shared.abort();
        self.wait()
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    ///
    /// Accepting failed for good, or a worker panicked. The other workers were drained before.
    pub fn wait(&self) -> Wait {
        Wait {
            shared: Arc::clone(&self.shared),
            place: None,
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

/// Ready when a server has ended; of [`Handle::wait`] and [`Handle::shutdown`]. Works on any
/// runtime.
#[derive(Debug)]
pub struct Wait {
    shared: Arc<ServerState>,
    place: Option<usize>,
}

impl Future for Wait {
    type Output = Result<DrainReport>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let me = &mut *self;
        me.shared.poll_end(&mut me.place, cx)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.stop_waiting(place);
        }
    }
}
