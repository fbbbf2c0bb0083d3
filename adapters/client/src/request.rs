//! One request: a connection, the exchange on it, and perhaps a second one.
use crate::{
    Error, MakeConnection, ResponseBody,
    client_runtime::ClientRuntime,
    connection::{ConnState, PooledConn},
    deadline::until,
    error::ErrorKind,
    origin::OriginRef,
    pool::{CheckedOut, Pool, Wanted},
    request_body::{ClientBody, RequestBody},
    retry::{Copied, MAX_RETRIES, is_unprocessed},
    target::{prepare, restore},
    waiting::Waiting,
};
use http::{Request, Response};
use hyper::body::Incoming;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) async fn send<F, B, M>(
    pool: Arc<Pool<F, B, M>>,
    request: Request<B>,
) -> Result<Response<ResponseBody>, Error>
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    let timeouts = pool.config.timeouts;
    let (mut end, mut origin) = (None, None);
    if timeouts.whole < Duration::MAX {
        end = pool.timer.now().checked_add(timeouts.whole);
        origin = Some(OriginRef::of(&request)?.to_origin());
    }
    let exchange = exchange(&pool, request, end);
    match (until(&pool.timer, end, exchange).await, origin) {
        (Some(result), _) => result,
        (None, Some(origin)) => Err(Error::timeout(ErrorKind::Timeout, &origin, timeouts.whole)),
        (None, None) => unreachable!("there is an origin if there is an end"),
    }
}

/// `end` is the deadline of the whole, for the body of the response.
async fn exchange<F, B, M>(
    pool: &Arc<Pool<F, B, M>>,
    request: Request<B>,
    end: Option<Instant>,
) -> Result<Response<ResponseBody>, Error>
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    let mut request = request.map(RequestBody::new);
    let mut retries = 0;
    loop {
        let CheckedOut { pooled, was_idle } = match pool.checkout(&request)? {
            Wanted::Ready(checked_out) => checked_out,
            Wanted::Wait(waiter, origin, facts) => {
                Waiting::new(pool, waiter)
                    .wait(origin, &facts.origin)
                    .await?
            }
        };
        // From here to `pooled.send` there is no await: a connection is never held in vain.
        let may_repeat = was_idle && retries < MAX_RETRIES && !pool.config.does_not_retry;
        let copy = may_repeat.then(|| Copied::of(&request)).flatten();
        prepare(&mut request, &pooled);
        let sending = match pooled.send(request) {
            Ok(sending) => sending,
            Err(unsent) => {
                pool.retire(pooled.conn);
                request = restore(unsent, &pooled);
                continue;
            }
        };
        let stream = pooled
            .is_http2
            .then(|| Stream(Arc::clone(&pooled.conn_state)));
        let in_flight = InFlight {
            pool,
            pooled: &pooled,
        };
        let limit = pool.config.timeouts.head;
        let head_end = match limit {
            Duration::MAX => None,
            _ => pool.timer.now().checked_add(limit),
        };
        let origin = &pooled.conn_state.facts.origin;
        let mut error = match until(&pool.timer, head_end, sending).await {
            Some(Ok(response)) => {
                drop(in_flight);
                return Ok(answer(pool, &pooled, stream, response, end));
            }
            Some(Err(error)) => error,
            None => return Err(Error::timeout(ErrorKind::HeadTimeout, origin, limit)),
        };
        drop(in_flight);
        let unsent = error.take_message();
        let error = error.into_error();
        request = match (unsent, copy) {
            // The connection ended before the request was sent. The next one is another.
            (Some(unsent), _) if was_idle => {
                pool.retire(pooled.conn);
                restore(unsent, &pooled)
            }
            (None, Some(copy)) if is_unprocessed(&error, &pooled) => {
                retries += 1;
                pool.retried(&pooled);
                copy.into_request()
            }
            _ => return Err(Error::http(origin, error)),
        };
    }
}

fn answer<F, B: ClientBody, M>(
    pool: &Arc<Pool<F, B, M>>,
    pooled: &Arc<PooledConn<B>>,
    stream: Option<Stream>,
    response: Response<Incoming>,
    end: Option<Instant>,
) -> Response<ResponseBody>
where
    F: MakeConnection,
    M: ClientRuntime<F, B>,
{
    let timeouts = pool.config.timeouts;
    response.map(|body| {
        let body = ResponseBody::new(body, Arc::clone(&pooled.conn_state), stream);
        body.with_timeouts(&pool.timer, timeouts.body, timeouts.whole, end)
    })
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
