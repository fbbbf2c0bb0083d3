//! The protocol on a connection.
use super::ConnContext;
use std::{fmt, future::Future};

/// The protocol on a connection: turns each connection into a task.
///
/// [`serve_with`](crate::serve_with) serves HTTP ([`Http`](crate::http::Http)), and
/// [`serve_raw_with`](crate::serve_raw_with) calls a function with the bytes ([`Raw`]). Implement
/// this trait to add another protocol, with [`Server::and_protocol`](crate::Server::and_protocol).
///
/// # Contract
///
/// - The server clones the protocol for each connection and calls `serve` in the connection's task,
///   after the handshake.
/// - The task ends when the connection has ended; dropping the task ends the connection. The task
///   obeys [`ConnContext::draining`], and is polled again when that changes. At the end of the
///   grace period the task is dropped.
/// - A panic in the task ends only this connection.
pub trait Protocol<C>: Clone + 'static {
    /// The work of one connection.
    type Task: Future<Output = ()> + 'static;

    /// Makes the task of a connection.
    fn serve(self, connection: C, context: ConnContext) -> Self::Task;
}

/// Any async function as a protocol: it gets the bytes as they are.
#[derive(Clone)]
pub struct Raw<F>(pub(crate) F);

impl<C, F, Fut> Protocol<C> for Raw<F>
where
    F: Fn(C) -> Fut + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    type Task = Fut;

    fn serve(self, connection: C, _: ConnContext) -> Fut {
        (self.0)(connection)
    }
}

impl<F> fmt::Debug for Raw<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").finish_non_exhaustive()
    }
}
