//! One request: a connection, the exchange on it, and perhaps a second one.
use crate::{
    Error, MakeConnection, ResponseBody,
    client_runtime::ClientRuntime,
    connection::{ConnState, Failure, PooledConn, Timeout},
    deadline::Deadline,
    error::ErrorKind,
    pool::{CheckedOut, Pool, Wanted},
    request_body::{ClientBody, RequestBody},
    retry::{Copied, MAX_RETRIES, is_unprocessed},
    target::{prepare, restore},
    waiting::Waiting,
};
use http::{Request, Response};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

/// It is no `async fn`, which would hold the request twice: as its argument, and as its variable.
pub(crate) fn send<F, B, M>(
    pool: Arc<Pool<F, B, M>>,
    request: Request<B>,
) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + use<F, B, M>
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    let mut request = request.map(RequestBody::new);
    async move {
        let timeouts = &pool.config.timeouts;
        let whole = Deadline::after(&pool.timer, ErrorKind::Timeout, timeouts.whole);
        let mut retries = 0;
        loop {
            let CheckedOut { pooled, was_idle } = match pool.checkout(&request)? {
                Wanted::Ready(checked_out) => checked_out,
                Wanted::Wait(waiter, origin, facts) => {
                    let waiting = Waiting::new(&pool, waiter);
                    waiting.wait(origin, &facts.origin, whole).await?
                }
            };
            // From here to `pooled.send` there is no await: a connection is never held in vain.
            let original = prepare(&mut request, &pooled);
            let may_repeat = was_idle && retries < MAX_RETRIES && !pool.config.does_not_retry;
            let copy = may_repeat.then(|| Copied::of(&request)).flatten();
            let stream = pooled
                .is_http2
                .then(|| Stream(Arc::clone(&pooled.conn_state)));
            let in_flight = InFlight {
                pool: &pool,
                pooled: &pooled,
            };
            // Pinned here, because it is large.
            let mut sending = pin!(pooled.send(request));
            let head = Deadline::after(&pool.timer, ErrorKind::HeadTimeout, timeouts.head);
            let deadline = head.or(whole);
            let origin = &pooled.conn_state.facts.origin;
            let mut timeout = Timeout::new(&*pooled.conn_state);
            let exchange = poll_fn(|cx| match sending.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending => timeout.poll(deadline.end, cx).map(|()| None),
            });
            let failure = match exchange.await {
                Some(Ok(response)) => {
                    drop(in_flight);
                    return Ok(response.map(|body| {
                        let conn_state = Arc::clone(&pooled.conn_state);
                        let gap = timeouts.body;
                        ResponseBody::new(body, conn_state, stream, &pool.timer, gap, &whole)
                    }));
                }
                Some(Err(failure)) => *failure,
                None => return Err(Error::timeout(deadline.kind, origin, deadline.limit)),
            };
            drop(in_flight);
            let again = match failure {
                Failure::Closed(unsent) => {
                    pool.retire(pooled.conn);
                    unsent
                }
                Failure::Http(mut error) => match (error.take_message(), copy) {
                    // The connection ended before the request was sent. The next one is another.
                    (Some(unsent), _) if was_idle => {
                        pool.retire(pooled.conn);
                        unsent
                    }
                    (None, Some(copy)) if is_unprocessed(error.error(), &pooled) => {
                        retries += 1;
                        pool.retried(&pooled);
                        copy.into_request()
                    }
                    _ => return Err(Error::http(origin, error.into_error())),
                },
            };
            request = restore(again, original);
        }
    }
}

/// A request that is sent, until the head of its response has come, or the request is dropped. The
/// response may have come in the meantime, so hyper keeps the connection open.
struct InFlight<'a, F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> {
    pool: &'a Arc<Pool<F, B, M>>,
    pooled: &'a PooledConn<B>,
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Drop for InFlight<'_, F, B, M> {
    fn drop(&mut self) {
        if !self.pooled.is_http2 && self.pooled.answered() {
            self.pool.put_back(self.pooled.conn);
        }
    }
}

/// A request of HTTP/2, until its response's body has ended or is dropped.
#[derive(Debug)]
pub(crate) struct Stream(Arc<ConnState>);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.end_request();
    }
}
