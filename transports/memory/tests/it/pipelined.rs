//! The beginning of a head that came in one read with the request before it: the connection looks
//! idle, but isn't. On tokio's paused clock, to the millisecond.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GET, SLEEPS, Scene, ask, closed, ended, ended_between, settled};
use anyport_core::{Body, BoxError, HttpOptions, Server, Timeouts, observe::TimedOut};
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
/// The defaults, spelled out: a change of one is to be seen.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const GRACE: Duration = Duration::from_secs(30);
/// A quarter of the grace, and not more than this.
const LAME_DUCK: Duration = SECOND;
/// How long the answer to `/late` takes from its first byte to its last.
const LATE: Duration = Duration::from_secs(10);
/// What a request has that counts as begun.
const HALF: usize = 20;

async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(match request.uri().path() {
        "/late" => Body::new(Late::Begin),
        _ => Body::from("Hello"),
    }))
}

/// A body that goes on after a while.
enum Late {
    Begin,
    Wait(Pin<Box<Sleep>>),
    Over,
}

impl HttpBody for Late {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let (next, said) = match &mut *self {
            Self::Begin => (Self::Wait(Box::pin(sleep(LATE))), "begun"),
            Self::Wait(wait) => {
                ready!(wait.as_mut().poll(cx));
                (Self::Over, "ended")
            }
            Self::Over => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(said.as_bytes())))))
    }
}

fn serve(idle: Duration, change: impl FnOnce(Timeouts) -> Timeouts) -> Scene {
    let timeouts = change(Timeouts::default());
    let http = HttpOptions::default().with_hibernate_after(idle);
    Scene::serve(service_fn(app), |server: Server| {
        server.timeouts(timeouts).http(http)
    })
}

/// A request, and the beginning of the next one.
fn with_half() -> String {
    format!("{GET}{}", &GET[..HALF])
}

/// Reads until it's said.
async fn read_until(client: &mut MemoryStream, said: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(said) {
        let mut some = [0; 4096];
        let n = client.read(&mut some).await.unwrap();
        assert_ne!(n, 0, "the end after {read:?}");
        read.push_str(std::str::from_utf8(&some[..n]).unwrap());
    }
    read
}

/// It was read together with the request before it, so it's seen only when the connection would
/// fall asleep, or has been idle for as long as a head may take.
#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_has_its_time_since_the_answer_before_it() {
    for slept_before in [false, true] {
        for idle in SLEEPS {
            let mut scene = serve(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            if slept_before {
                assert!(!ask(&mut client, GET).await);
                sleep(20 * SECOND).await;
            }
            let begin = Instant::now();
            assert!(!ask(&mut client, &with_half()).await);
            ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
        }
    }
}

/// Also where that's shorter than anything else for which the connection is looked at.
#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_has_a_short_time_too() {
    for idle in SLEEPS {
        let head = 100 * MS;
        let mut scene = serve(idle, |timeouts| timeouts.with_head(head));
        let mut client = scene.connect();
        let begin = Instant::now();
        assert!(!ask(&mut client, &with_half()).await);
        ended(&scene.end().await, begin, head, Some(TimedOut::Head));
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_is_answered_when_its_rest_comes_in_time() {
    for idle in SLEEPS {
        for at in 1..GET.len() {
            let scene = serve(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            for wait in [MS, 200 * MS, SECOND, HEAD - SECOND] {
                assert!(!ask(&mut client, &format!("{GET}{}", &GET[..at])).await);
                sleep(wait).await;
                assert!(!ask(&mut client, &GET[at..]).await, "cut at {at}");
            }
        }
    }
}

/// What comes before it's seen, counts as its first byte. Nothing that comes later does.
#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_that_trickles_has_twice_its_time_at_most() {
    for idle in SLEEPS {
        let mut scene = serve(idle, |timeouts| timeouts);
        let mut client = scene.connect();
        let begin = Instant::now();
        assert!(!ask(&mut client, &with_half()).await);
        let trickle = tokio::spawn(async move {
            sleep(HEAD - SECOND).await;
            while client.write_all(b"x").await.is_ok() {
                sleep(2 * SECOND).await;
            }
        });
        let when = HEAD..=2 * HEAD;
        ended_between(&scene.end().await, begin, when, Some(TimedOut::Head));
        trickle.await.unwrap();
    }
}

/// Whatever the connection would otherwise be closed for by then.
#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_has_its_time_although_idle_connections_have_less() {
    for head in [HEAD, Duration::MAX] {
        for idle in SLEEPS {
            let mut scene = serve(idle, |timeouts| {
                timeouts.with_keep_alive(5 * SECOND).with_head(head)
            });
            let (mut in_time, mut late) = (scene.connect(), scene.connect());
            let begin = Instant::now();
            for client in [&mut in_time, &mut late] {
                assert!(!ask(client, &with_half()).await);
            }
            sleep(HEAD - SECOND).await;
            let asked = Instant::now();
            assert!(!ask(&mut in_time, &GET[HALF..]).await, "{idle:?}");
            if head == HEAD {
                ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
            }
            closed(&mut in_time).await;
            ended(
                &scene.end().await,
                asked,
                5 * SECOND,
                Some(TimedOut::KeepAlive),
            );
        }
    }
}

/// An answer that began before the drain couldn't say that it's the last one.
#[tokio::test(start_paused = true)]
async fn what_came_with_a_request_that_is_answered_when_a_drain_begins_is_answered_too() {
    for idle in SLEEPS {
        for whole in [false, true] {
            let scene = serve(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            let late = GET.replace("/ ", "/late ");
            let next = if whole { GET } else { &GET[..HALF] };
            client
                .write_all(format!("{late}{next}").as_bytes())
                .await
                .unwrap();
            let begun = read_until(&mut client, "begun\r\n").await;
            assert!(!begun.contains("connection: close"), "{begun}");
            let wait = scene.handle.shutdown(GRACE);
            if !whole {
                read_until(&mut client, "ended\r\n0\r\n\r\n").await;
                client.write_all(&GET.as_bytes()[HALF..]).await.unwrap();
            }
            let mut rest = String::new();
            client.read_to_string(&mut rest).await.unwrap();
            let is_last = rest.contains("connection: close\r\n") && rest.ends_with("\r\n\r\nHello");
            assert!(is_last, "{idle:?}, whole: {whole}: {rest:?}");
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}

/// Some clients end a body with it (RFC 9112, section 2.2: a server should ignore it).
#[tokio::test(start_paused = true)]
async fn an_empty_line_after_a_request_begins_no_head() {
    for idle in SLEEPS {
        for empty in ["\r\n", "\n", "\r\n\r\n"] {
            let post =
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx{empty}");
            let mut scene = serve(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            let mut asked = Instant::now();
            for wait in [Duration::ZERO, 20 * SECOND, HEAD + SECOND] {
                sleep(wait).await;
                asked = Instant::now();
                assert!(!ask(&mut client, &post).await);
            }
            closed(&mut client).await;
            ended(
                &scene.end().await,
                asked,
                KEEP_ALIVE,
                Some(TimedOut::KeepAlive),
            );

            let mut client = scene.connect();
            assert!(!ask(&mut client, &post).await);
            settled().await;
            let begin = Instant::now();
            let wait = scene.handle.shutdown(GRACE);
            closed(&mut client).await;
            ended(&scene.end().await, begin, LAME_DUCK, None);
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}
