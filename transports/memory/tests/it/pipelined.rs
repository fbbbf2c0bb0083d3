//! The beginning of a head that arrives in one read with the request before it. The connection
//! looks idle, but is not. tokio's clock is paused, and times are exact to the millisecond.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{
    GET, HIBERNATE_AFTER_CASES, TestServer, all_tasks_idle, assert_ended, assert_ended_between,
    get, wait_closed,
};
use anyport_core::{Body, HttpOptions, Server, Timeouts, error::BoxError, observe::TimedOut};
use anyport_memory::MemoryStream;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, Sleep, sleep},
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// The defaults as literals, so that the test detects a change of one.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const GRACE: Duration = Duration::from_secs(30);
/// A quarter of the grace period, at most one second.
const LAME_DUCK: Duration = SECOND;
/// How long the response to `/late` takes from its first byte to its last.
const DELAY: Duration = Duration::from_secs(10);
/// How many bytes of a request are sent as its beginning.
const PARTIAL_LEN: usize = 20;

async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(match request.uri().path() {
        "/late" => Body::new(DelayedBody::First),
        _ => Body::from("Hello"),
    }))
}

/// A body whose second frame comes after a delay.
enum DelayedBody {
    First,
    Delay(Pin<Box<Sleep>>),
    Done,
}

impl HttpBody for DelayedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (next, text) = match &mut *self {
            Self::First => (Self::Delay(Box::pin(sleep(DELAY))), "begun"),
            Self::Delay(wait) => {
                ready!(wait.as_mut().poll(cx));
                (Self::Done, "ended")
            }
            Self::Done => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

fn serve(idle: Duration, change: impl FnOnce(Timeouts) -> Timeouts) -> TestServer {
    let timeouts = change(Timeouts::default());
    let http = HttpOptions::default().with_hibernate_after(idle);
    TestServer::serve(service_fn(app), |server: Server| {
        server.timeouts(timeouts).http(http)
    })
}

/// A request, and the beginning of the next one.
fn request_and_partial() -> String {
    format!("{GET}{}", &GET[..PARTIAL_LEN])
}

/// Reads until the response ends with `text`.
async fn read_until(client: &mut MemoryStream, text: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(text) {
        let mut some = [0; 4096];
        let n = client.read(&mut some).await.unwrap();
        assert_ne!(n, 0, "the end after {read:?}");
        read.push_str(std::str::from_utf8(&some[..n]).unwrap());
    }
    read
}

/// The beginning was read together with the request before it. So it is detected only when the
/// connection would hibernate, or has been idle for the head timeout.
#[tokio::test(start_paused = true)]
async fn partial_pipelined_head_times_out_from_the_previous_response() {
    for hibernated_before in [false, true] {
        for idle in HIBERNATE_AFTER_CASES {
            let mut server = serve(idle, |timeouts| timeouts);
            let mut client = server.connect();
            if hibernated_before {
                assert!(!get(&mut client, GET).await);
                sleep(20 * SECOND).await;
            }
            let begin = Instant::now();
            assert!(!get(&mut client, &request_and_partial()).await);
            assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
        }
    }
}

/// Here the head timeout is shorter than any other reason to probe the connection.
#[tokio::test(start_paused = true)]
async fn short_head_timeout_applies_to_a_partial_pipelined_head() {
    for idle in HIBERNATE_AFTER_CASES {
        let head = 100 * MS;
        let mut server = serve(idle, |timeouts| timeouts.with_head(head));
        let mut client = server.connect();
        let begin = Instant::now();
        assert!(!get(&mut client, &request_and_partial()).await);
        assert_ended(&server.end().await, begin, head, Some(TimedOut::Head));
    }
}

#[tokio::test(start_paused = true)]
async fn completed_pipelined_head_gets_a_response() {
    for idle in HIBERNATE_AFTER_CASES {
        for at in 1..GET.len() {
            let server = serve(idle, |timeouts| timeouts);
            let mut client = server.connect();
            for wait in [MS, 200 * MS, SECOND, HEAD - SECOND] {
                assert!(!get(&mut client, &format!("{GET}{}", &GET[..at])).await);
                sleep(wait).await;
                assert!(!get(&mut client, &GET[at..]).await, "cut at {at}");
            }
        }
    }
}

/// A byte that arrives before the beginning is detected counts as its first byte. Later bytes do
/// not.
#[tokio::test(start_paused = true)]
async fn trickling_pipelined_head_has_at_most_twice_the_timeout() {
    for idle in HIBERNATE_AFTER_CASES {
        let mut server = serve(idle, |timeouts| timeouts);
        let mut client = server.connect();
        let begin = Instant::now();
        assert!(!get(&mut client, &request_and_partial()).await);
        let trickle = tokio::spawn(async move {
            sleep(HEAD - SECOND).await;
            while client.write_all(b"x").await.is_ok() {
                sleep(2 * SECOND).await;
            }
        });
        let when = HEAD..=2 * HEAD;
        assert_ended_between(&server.end().await, begin, when, Some(TimedOut::Head));
        trickle.await.unwrap();
    }
}

/// The head timeout applies, although another timeout would close the idle connection before.
#[tokio::test(start_paused = true)]
async fn shorter_keep_alive_does_not_cut_a_partial_pipelined_head() {
    for head in [HEAD, Duration::MAX] {
        for idle in HIBERNATE_AFTER_CASES {
            let mut server = serve(idle, |timeouts| {
                timeouts.with_keep_alive(5 * SECOND).with_head(head)
            });
            let (mut in_time, mut late) = (server.connect(), server.connect());
            let begin = Instant::now();
            for client in [&mut in_time, &mut late] {
                assert!(!get(client, &request_and_partial()).await);
            }
            sleep(HEAD - SECOND).await;
            let sent_at = Instant::now();
            assert!(!get(&mut in_time, &GET[PARTIAL_LEN..]).await, "{idle:?}");
            if head == HEAD {
                assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
            }
            wait_closed(&mut in_time).await;
            assert_ended(
                &server.end().await,
                sent_at,
                5 * SECOND,
                Some(TimedOut::KeepAlive),
            );
        }
    }
}

/// The first response began before the drain, so it had no `Connection: close`.
#[tokio::test(start_paused = true)]
async fn drain_serves_a_pipelined_request() {
    for idle in HIBERNATE_AFTER_CASES {
        for whole in [false, true] {
            let server = serve(idle, |timeouts| timeouts);
            let mut client = server.connect();
            let late = GET.replace("/ ", "/late ");
            let next = if whole { GET } else { &GET[..PARTIAL_LEN] };
            client
                .write_all(format!("{late}{next}").as_bytes())
                .await
                .unwrap();
            let begun = read_until(&mut client, "begun\r\n").await;
            assert!(!begun.contains("connection: close"), "{begun}");
            let wait = server.handle.shutdown(GRACE);
            if !whole {
                read_until(&mut client, "ended\r\n0\r\n\r\n").await;
                client
                    .write_all(&GET.as_bytes()[PARTIAL_LEN..])
                    .await
                    .unwrap();
            }
            let mut rest = String::new();
            client.read_to_string(&mut rest).await.unwrap();
            let is_last = rest.contains("connection: close\r\n") && rest.ends_with("\r\n\r\nHello");
            assert!(is_last, "{idle:?}, whole: {whole}: {rest:?}");
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}

/// Some clients send an empty line after a body (RFC 9112 2.2: a server should ignore it).
#[tokio::test(start_paused = true)]
async fn empty_line_after_a_request_starts_no_head() {
    for idle in HIBERNATE_AFTER_CASES {
        for empty in ["\r\n", "\n", "\r\n\r\n"] {
            let post =
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx{empty}");
            let mut server = serve(idle, |timeouts| timeouts);
            let mut client = server.connect();
            let mut sent_at = Instant::now();
            for wait in [Duration::ZERO, 20 * SECOND, HEAD + SECOND] {
                sleep(wait).await;
                sent_at = Instant::now();
                assert!(!get(&mut client, &post).await);
            }
            wait_closed(&mut client).await;
            assert_ended(
                &server.end().await,
                sent_at,
                KEEP_ALIVE,
                Some(TimedOut::KeepAlive),
            );

            let mut client = server.connect();
            assert!(!get(&mut client, &post).await);
            all_tasks_idle().await;
            let begin = Instant::now();
            let wait = server.handle.shutdown(GRACE);
            wait_closed(&mut client).await;
            assert_ended(&server.end().await, begin, LAME_DUCK, None);
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}
