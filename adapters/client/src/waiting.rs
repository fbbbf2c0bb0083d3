//! A request that waits for a connection.
use crate::{
    Error, MakeConnection, Origin,
    client_runtime::ClientRuntime,
    deadline::{Deadline, until},
    error::ErrorKind,
    machine::{OriginId, WaiterId},
    pool::{CheckedOut, Pool},
    request_body::ClientBody,
};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// A place in the queue. Dropping it leaves the queue, or gives its connection to the next.
pub(crate) struct Waiting<'a, F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> {
    pool: &'a Arc<Pool<F, B, M>>,
    waiter: Option<WaiterId>,
}

impl<'a, F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Waiting<'a, F, B, M> {
    pub(crate) fn new(pool: &'a Arc<Pool<F, B, M>>, waiter: WaiterId) -> Self {
        Self {
            pool,
            waiter: Some(waiter),
        }
    }

    /// Waits for the connection, up to the queue's deadline or that of the whole request.
    pub(crate) async fn wait(
        self,
        id: OriginId,
        origin: &Origin,
        whole: Deadline,
    ) -> Result<CheckedOut<B>, Error> {
        let pool = self.pool;
        let limit = pool.config.timeouts.queue;
        let queue = Deadline::after(&pool.timer, ErrorKind::QueueTimeout, limit);
        let deadline = queue.or(whole);
        match until(&pool.timer, deadline.end, self).await {
            Some(result) => result,
            None if deadline.kind == ErrorKind::Timeout => {
                Err(Error::timeout(deadline.kind, origin, deadline.limit))
            }
            None => {
                let (open, in_all, waiting) = pool.counts_of(id);
                let cap = match open < pool.config.limits.max_per_origin {
                    true => "max_total",
                    false => "max_per_origin",
                };
                let text = format!(
                    "no connection to {origin} became free within {limit:?}; open connections: {open} ({in_all} in all), other requests waiting: {waiting} (raise `{cap}`, or send fewer requests at once)"
                );
                Err(Error::new(ErrorKind::QueueTimeout, text))
            }
        }
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Future for Waiting<'_, F, B, M> {
    type Output = Result<CheckedOut<B>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(waiter) = self.waiter else {
            unreachable!("polled after it was ready");
        };
        let result = ready!(self.pool.poll_waiter(waiter, cx));
        self.waiter = None;
        Poll::Ready(result)
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Drop for Waiting<'_, F, B, M> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            self.pool.cancel(waiter);
        }
    }
}
