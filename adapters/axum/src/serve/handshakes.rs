//! The concurrent handshakes of a listener.
use std::{
    fmt,
    future::Future,
    io,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{task::JoinSet, time::timeout};

/// The default of [`Timeouts::handshake`](anyport_core::Timeouts).
const TIMEOUT: Duration = Duration::from_secs(10);

/// Concurrent handshakes, each in its own task, so that a panic ends one connection. Dropping this
/// aborts them.
pub(super) struct Handshakes<C> {
    tasks: JoinSet<io::Result<C>>,
    pub(super) timeout: Duration,
}

impl<C: Send + 'static> Handshakes<C> {
    pub(super) fn spawn(
        &mut self,
        handshake: impl Future<Output = io::Result<C>> + Send + 'static,
    ) {
        let within = self.timeout;
        self.tasks
            .spawn(async move { timeout(within, handshake).await? });
    }

    /// The next established connection. A failed handshake affects only its peer.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<C> {
        loop {
            match self.tasks.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Ok(connection)))) => return Poll::Ready(connection),
                Poll::Ready(Some(Ok(Err(_error)))) => {
                    #[cfg(feature = "tracing")]
                    tracing::debug!(target: "anyport", error = %_error, "handshake failed");
                }
                Poll::Ready(Some(Err(_panic))) => {
                    #[cfg(feature = "tracing")]
                    tracing::error!(target: "anyport", error = %_panic, "handshake panicked");
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<C> Default for Handshakes<C> {
    fn default() -> Self {
        Self {
            tasks: JoinSet::new(),
            timeout: TIMEOUT,
        }
    }
}

impl<C> fmt::Debug for Handshakes<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
