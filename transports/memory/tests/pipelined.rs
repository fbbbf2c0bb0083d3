//! The beginning of a head that came in one read with the request before it: the connection looks idle, but isn't. On tokio's paused clock, to the millisecond.

mod scene;

use anyport_core::{Body, BoxError, HttpOptions, Server, Timeouts, observe::TimedOut};
use http::{Request, Response};
use scene::{GET, SLEEPS, Scene, ask, closed, ended};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// The defaults, spelled out: a change of one is to be seen.
const HEAD: Duration = Duration::from_secs(30);
/// What a request has that counts as begun.
const HALF: usize = 20;

async fn app(_: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(Body::from("Hello")))
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

/// It was read together with the request before it, so it's seen only when the connection would fall asleep, or has been idle for as long as a head may take.
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
            ended(&scene.end().await, asked, 5 * SECOND, Some(TimedOut::KeepAlive));
        }
    }
}
