//! The task of a connection: connects, and polls hyper until the connection is closed.
use super::{Attempt, ClientIo, PooledConn, pooled_conn::Progress};
use crate::{
    Error, MakeConnection,
    client_runtime::ClientRuntime,
    deadline::{Alarm, earlier, until},
    pool::Pool,
    request_body::ClientBody,
};
use anyport_core::Connection;
use hyper::client::conn::{http1, http2};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// How long a connection may take to send its last bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn drive<F, B, M>(attempt: Attempt<F, B, M>)
where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    let pool = Arc::clone(&attempt.pool);
    let conn_state = attempt.conn_state();
    let limit = pool.config.timeouts.connect;
    let end = pool.timer.now().checked_add(limit);
    let connecting = pool.factory.make_connection(&attempt.facts.origin);
    let connected = until(&pool.timer, end, connecting).await;
    let connection = match connected {
        Some(Ok(connection)) => connection,
        Some(Err(error)) => return attempt.fail(|origin| Error::connect(origin, error)),
        None => return attempt.fail(|origin| Error::connect_timeout(origin, limit)),
    };
    let is_http2 = pool.config.is_http2_only || connection.info().alpn() == Some(b"h2");
    let io = ClientIo::new(connection, Arc::clone(&conn_state));
    let conn = attempt.conn;
    if is_http2 {
        // A burst waits for the server's SETTINGS, since they limit it. The first request does not.
        let mut builder = http2::Builder::new(M::executor());
        let handshake = builder.initial_max_send_streams(1).handshake(io);
        let made = until(&pool.timer, end, handshake).await;
        let (sender, http) = match made {
            Some(Ok(made)) => made,
            Some(Err(error)) => return attempt.fail(|origin| Error::http(origin, error)),
            None => return attempt.fail(|origin| Error::connect_timeout(origin, limit)),
        };
        let pooled = Arc::new(PooledConn::http2(conn, Arc::clone(&conn_state), sender));
        let (mut http, mut capacity) = (pin!(http), 1);
        conn_state.await_settings(true);
        run(&pool, &pooled, |cx| {
            let polled = http.as_mut().poll(cx).map(drop);
            let now = http.current_max_send_streams();
            if now != capacity {
                capacity = now;
                conn_state.await_settings(false);
                pool.set_capacity(conn, capacity);
            }
            for _ in 0..conn_state.take_ended() {
                pool.put_back(conn);
            }
            polled
        })
        .await;
    } else {
        let (sender, http) = match http1::handshake(io).await {
            Ok(made) => made,
            Err(error) => return attempt.fail(|origin| Error::http(origin, error)),
        };
        let pooled = Arc::new(PooledConn::http1(conn, Arc::clone(&conn_state), sender));
        let mut http = pin!(http.with_upgrades());
        run(&pool, &pooled, |cx| http.as_mut().poll(cx).map(drop)).await;
    }
    // An upgraded connection lives on.
    pool.retire(conn);
    poll_fn(|cx| conn_state.poll_closed(cx)).await;
}

/// Polls hyper's connection until it ends.
async fn run<F, B, M>(
    pool: &Arc<Pool<F, B, M>>,
    pooled: &Arc<PooledConn<B>>,
    mut http: impl FnMut(&mut Context<'_>) -> Poll<()>,
) where
    F: MakeConnection,
    B: ClientBody,
    M: ClientRuntime<F, B>,
{
    let (conn, conn_state) = (pooled.conn, &pooled.conn_state);
    pool.connected(Arc::clone(pooled), pool.timer.now());
    // The timer has a waker of its own, which shows that the timer has fired. Only then is the
    // timer polled.
    let timer_waker = Waker::from(Arc::clone(conn_state));
    let mut alarm = Alarm::default();
    let mut arm = |close_at: Option<Instant>| {
        let end = earlier(close_at, pool.expire(conn));
        let end = conn_state.deadlines.expire(pool.timer.now(), end);
        alarm.set(&pool.timer, end, &timer_waker);
    };
    arm(None);
    let (mut registered, mut close_at) = (None, None);
    poll_fn(|cx| {
        conn_state.register(cx.waker(), &mut registered);
        // The connection may end with an error: the request that was sent on it has it.
        if http(cx).is_ready() {
            return Poll::Ready(());
        }
        match pooled.progress() {
            Progress::Ended => pool.put_back(conn),
            Progress::Closing if close_at.is_none() => {
                close_at = pool.timer.now().checked_add(CLOSE_TIMEOUT);
                arm(close_at);
            }
            Progress::Closing | Progress::Pending => {}
        }
        if conn_state.take_due() {
            if close_at.is_some_and(|at| at <= pool.timer.now()) {
                return Poll::Ready(());
            }
            arm(close_at);
        }
        Poll::Pending
    })
    .await;
}
