//! The times of connections that sleep, and of those too busy to: on tokio's paused clock, to the
//! millisecond.

use crate::scene::{GET, SLEEPS, Scene, TICK, ask, closed, ended, ended_between, settled};
use anyport_core::{Body, BoxError, HttpOptions, Server, Timeouts, observe::TimedOut};
use http::{Request, Response};
use std::time::Duration;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, sleep_until},
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// The defaults, spelled out: a change of one is to be seen.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const HIBERNATE_AFTER: Duration = Duration::from_millis(200);
const AGE: Duration = Duration::from_secs(600);
/// How long an old connection may be idle: a request may be on its way already.
const LAST_CALL: Duration = SECOND;
async fn app(_: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(Body::from("Hello")))
}

fn serve() -> Scene {
    serve_with(HIBERNATE_AFTER, |timeouts| timeouts)
}

fn serve_with(idle: Duration, change: impl FnOnce(Timeouts) -> Timeouts) -> Scene {
    let timeouts = change(Timeouts::default());
    let http = HttpOptions::default().with_hibernate_after(idle);
    Scene::serve(service_fn(app), |server: Server| {
        server.timeouts(timeouts).http(http)
    })
}

#[tokio::test(start_paused = true)]
async fn whenever_it_sleeps_a_connection_is_kept_alive_since_its_last_answer() {
    for idle in SLEEPS {
        let mut scene = serve_with(idle, |timeouts| timeouts);
        let mut client = scene.connect();
        let mut last = Instant::now();
        for wait in [
            Duration::ZERO,
            MS,
            SECOND / 4,
            40 * SECOND,
            KEEP_ALIVE - SECOND,
        ] {
            sleep(wait).await;
            last = Instant::now();
            assert!(!ask(&mut client, GET).await);
        }
        closed(&mut client).await;
        let end = scene.end().await;
        ended(&end, last, KEEP_ALIVE, Some(TimedOut::KeepAlive));
    }
}

#[tokio::test(start_paused = true)]
async fn more_connections_than_are_woken_at_once_all_end_in_time() {
    const CONNECTIONS: usize = 1500;
    let mut scene = serve();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = scene.connect();
        let asked = Instant::now();
        assert!(!ask(&mut client, GET).await);
        clients.push((client, asked));
        if clients.len().is_multiple_of(600) {
            sleep(SECOND).await;
        }
    }
    for (_, asked) in &clients {
        let end = scene.end().await;
        ended(&end, *asked, KEEP_ALIVE, Some(TimedOut::KeepAlive));
    }
    assert_eq!(scene.handle.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_after_a_sleep_has_its_time_from_its_first_byte() {
    for idle in SLEEPS {
        let mut scene = serve_with(idle, |timeouts| timeouts);
        let mut client = scene.connect();
        for _ in 0..2 {
            assert!(!ask(&mut client, GET).await);
            sleep(HEAD + 10 * SECOND).await;
        }
        let begin = Instant::now();
        let trickle = tokio::spawn(async move {
            for byte in GET.as_bytes().iter().cycle() {
                if *byte != b'\r' && client.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(2 * SECOND).await;
            }
        });
        ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
        trickle.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_sleeping_connection_that_becomes_old_has_a_last_call() {
    for idle in SLEEPS {
        let mut scene = serve_with(idle, |timeouts| timeouts.with_age(AGE));
        let begin = Instant::now();
        let (mut silent, mut late) = (scene.connect(), scene.connect());
        while begin.elapsed() < AGE - KEEP_ALIVE / 2 {
            assert!(!ask(&mut silent, GET).await && !ask(&mut late, GET).await);
            sleep(KEEP_ALIVE / 3).await;
        }
        sleep_until(begin + AGE + LAST_CALL / 2).await;
        let asked = Instant::now();
        assert!(ask(&mut late, GET).await, "it's told");
        closed(&mut late).await;
        ended(
            &scene.end().await,
            asked,
            Duration::ZERO,
            Some(TimedOut::Age),
        );
        closed(&mut silent).await;
        ended(
            &scene.end().await,
            begin,
            AGE + LAST_CALL,
            Some(TimedOut::Age),
        );
    }
}

/// It's told of its age once, although it's awake again before it ends. `together`: with the last
/// request before the age.
#[tokio::test(start_paused = true)]
async fn a_head_that_begins_in_the_last_call_is_let_finish() {
    for idle in SLEEPS {
        for together in [false, true] {
            let mut scene = serve_with(idle, |timeouts| timeouts.with_age(AGE));
            let begin = Instant::now();
            let mut client = scene.connect();
            while begin.elapsed() < AGE - KEEP_ALIVE / 2 {
                assert!(!ask(&mut client, GET).await);
                sleep(KEEP_ALIVE / 3).await;
            }
            let half = &GET[..20];
            if together {
                sleep_until(begin + AGE - HIBERNATE_AFTER / 2).await;
                assert!(!ask(&mut client, &format!("{GET}{half}")).await);
            } else {
                sleep_until(begin + AGE + LAST_CALL / 2).await;
                client.write_all(half.as_bytes()).await.unwrap();
            }
            sleep(3 * LAST_CALL).await;
            let asked = Instant::now();
            assert!(ask(&mut client, &GET[half.len()..]).await, "it's told");
            closed(&mut client).await;
            let end = scene.end().await;
            ended(&end, asked, Duration::ZERO, Some(TimedOut::Age));
            assert_eq!(end.deadlines, 1, "{idle:?}");
        }
    }
}

/// It's asked so often that it doesn't sleep, and hardly looks at the clock.
#[tokio::test(start_paused = true)]
async fn a_busy_connection_is_never_closed_and_then_little_later_than_it_should_be() {
    for keep_alive in [SECOND, KEEP_ALIVE] {
        for idle in [HIBERNATE_AFTER, Duration::MAX] {
            let mut scene = serve_with(idle, |timeouts| timeouts.with_keep_alive(keep_alive));
            let mut client = scene.connect();
            let (begin, mut last) = (Instant::now(), Instant::now());
            while begin.elapsed() < 60 * SECOND {
                sleep(50 * MS).await;
                last = Instant::now();
                assert!(!ask(&mut client, GET).await);
            }
            let late = idle.min(keep_alive / 16).min(SECOND);
            closed(&mut client).await;
            let end = scene.end().await;
            let when = keep_alive..=keep_alive + late + TICK;
            ended_between(&end, last, when, Some(TimedOut::KeepAlive));
        }
    }
}

/// The deadline passes in the very turn in which the connection changes how it writes.
#[tokio::test(start_paused = true)]
async fn a_busy_connection_is_told_of_its_age_whatever_else_happens_then() {
    // The connection's looks at the clock and its age coincide at one of these.
    for idle in [MS, 10 * MS, HIBERNATE_AFTER, Duration::MAX] {
        for before in 28..=36_u32 {
            for early in 0..=3_u32 {
                let age = before * 5 * MS;
                let mut scene = serve_with(idle, |timeouts| timeouts.with_age(age));
                let begin = Instant::now();
                let mut client = scene.connect();
                sleep(MS).await;
                let first = begin + age - (before - 1) * 4 * MS - early * MS;
                let mut asked = 0;
                sleep_until(first).await;
                loop {
                    asked += 1;
                    if ask(&mut client, GET).await {
                        break;
                    }
                    assert!(
                        begin.elapsed() <= age + 10 * MS,
                        "{idle:?}, {before} before, {early} ms early: not told with {asked} requests"
                    );
                    sleep_until(first + asked * 4 * MS).await;
                }
                closed(&mut client).await;
                assert_eq!(scene.end().await.timed_out, Some(TimedOut::Age));
            }
        }
    }
}

mod drain {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);
    /// A quarter of the grace, and not more than this.
    const LAME_DUCK: Duration = SECOND;

    #[tokio::test(start_paused = true)]
    async fn a_sleeping_connection_is_closed_after_the_lame_duck_stage() {
        for idle in SLEEPS {
            let mut scene = serve_with(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            assert!(!ask(&mut client, GET).await);
            sleep(20 * SECOND).await;
            let begin = Instant::now();
            let ended_all = scene.handle.shutdown(GRACE);
            closed(&mut client).await;
            let report = ended_all.await.unwrap();
            assert_eq!((report.completed, report.aborted), (1, 0));
            ended(&scene.end().await, begin, LAME_DUCK, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleeping_connection_is_told_in_the_lame_duck_stage() {
        for idle in SLEEPS {
            let mut scene = serve_with(idle, |timeouts| timeouts);
            let mut client = scene.connect();
            assert!(!ask(&mut client, GET).await);
            sleep(20 * SECOND).await;
            let wait = scene.handle.shutdown(GRACE);
            sleep(LAME_DUCK - 2 * TICK).await;
            let asked = Instant::now();
            assert!(ask(&mut client, GET).await);
            closed(&mut client).await;
            ended(&scene.end().await, asked, Duration::ZERO, None);
            let report = wait.await.unwrap();
            assert_eq!((report.completed, report.aborted), (1, 0));
        }
    }

    /// Also one that came together with the request before it: that's seen when the connection
    /// falls asleep, or is about to be closed.
    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_is_let_finish() {
        for idle in SLEEPS {
            let scene = serve_with(idle, |timeouts| timeouts);
            let (mut apart, mut together) = (scene.connect(), scene.connect());
            for client in [&mut apart, &mut together] {
                assert!(!ask(client, GET).await);
            }
            sleep(20 * SECOND).await;
            apart.write_all(&GET.as_bytes()[..20]).await.unwrap();
            assert!(!ask(&mut together, &format!("{GET}{}", &GET[..20])).await);
            settled().await;
            let wait = scene.handle.shutdown(GRACE);
            sleep(LAME_DUCK + SECOND).await;
            assert!(ask(&mut apart, &GET[20..]).await);
            assert!(ask(&mut together, &GET[20..]).await);
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}
