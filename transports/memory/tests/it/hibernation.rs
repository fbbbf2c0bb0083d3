//! Timeouts of hibernating connections, and of connections too busy to hibernate. tokio's clock is
//! paused, and times are exact to the millisecond.

use crate::fixture::{
    CLOCK_TOLERANCE, GET, HIBERNATE_AFTER_CASES, TestServer, all_tasks_idle, assert_ended,
    assert_ended_between, get, wait_closed,
};
use anyport_core::{Body, HttpOptions, Server, Timeouts, error::BoxError, observe::TimedOut};
use http::{Request, Response};
use std::time::Duration;
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, sleep, sleep_until},
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// The defaults as literals, so that the test detects a change of one.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const HIBERNATE_AFTER: Duration = Duration::from_millis(200);
const AGE: Duration = Duration::from_secs(600);
/// How long a connection at its age may be idle: a request may be in flight.
const AGE_GRACE: Duration = SECOND;
async fn app(_: Request<Body>) -> Result<Response<Body>, BoxError> {
    Ok(Response::new(Body::from("Hello")))
}

fn serve() -> TestServer {
    serve_with(HIBERNATE_AFTER, |timeouts| timeouts)
}

fn serve_with(idle: Duration, change: impl FnOnce(Timeouts) -> Timeouts) -> TestServer {
    let timeouts = change(Timeouts::default());
    let http = HttpOptions::default().with_hibernate_after(idle);
    TestServer::serve(service_fn(app), |server: Server| {
        server.timeouts(timeouts).http(http)
    })
}

#[tokio::test(start_paused = true)]
async fn keep_alive_runs_from_the_last_response() {
    for idle in HIBERNATE_AFTER_CASES {
        let mut server = serve_with(idle, |timeouts| timeouts);
        let mut client = server.connect();
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
            assert!(!get(&mut client, GET).await);
        }
        wait_closed(&mut client).await;
        let end = server.end().await;
        assert_ended(&end, last, KEEP_ALIVE, Some(TimedOut::KeepAlive));
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_many_connections_end_on_time() {
    const CONNECTIONS: usize = 1500;
    let mut server = serve();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = server.connect();
        let sent_at = Instant::now();
        assert!(!get(&mut client, GET).await);
        clients.push((client, sent_at));
        if clients.len().is_multiple_of(600) {
            sleep(SECOND).await;
        }
    }
    for (_, sent_at) in &clients {
        let end = server.end().await;
        assert_ended(&end, *sent_at, KEEP_ALIVE, Some(TimedOut::KeepAlive));
    }
    assert_eq!(server.handle.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn head_timeout_after_hibernation_runs_from_the_first_byte() {
    for idle in HIBERNATE_AFTER_CASES {
        let mut server = serve_with(idle, |timeouts| timeouts);
        let mut client = server.connect();
        for _ in 0..2 {
            assert!(!get(&mut client, GET).await);
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
        assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
        trickle.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn hibernating_connection_at_its_age_may_send_one_more_request() {
    for idle in HIBERNATE_AFTER_CASES {
        let mut server = serve_with(idle, |timeouts| timeouts.with_age(AGE));
        let begin = Instant::now();
        let (mut silent, mut late) = (server.connect(), server.connect());
        while begin.elapsed() < AGE - KEEP_ALIVE / 2 {
            assert!(!get(&mut silent, GET).await && !get(&mut late, GET).await);
            sleep(KEEP_ALIVE / 3).await;
        }
        sleep_until(begin + AGE + AGE_GRACE / 2).await;
        let sent_at = Instant::now();
        assert!(
            get(&mut late, GET).await,
            "the response has Connection: close"
        );
        wait_closed(&mut late).await;
        assert_ended(
            &server.end().await,
            sent_at,
            Duration::ZERO,
            Some(TimedOut::Age),
        );
        wait_closed(&mut silent).await;
        assert_ended(
            &server.end().await,
            begin,
            AGE + AGE_GRACE,
            Some(TimedOut::Age),
        );
    }
}

/// The age is reported once, although the connection becomes active again before it ends.
/// `together`: the head starts in one read with the last request before the age.
#[tokio::test(start_paused = true)]
async fn head_that_starts_after_the_age_is_completed() {
    for idle in HIBERNATE_AFTER_CASES {
        for together in [false, true] {
            let mut server = serve_with(idle, |timeouts| timeouts.with_age(AGE));
            let begin = Instant::now();
            let mut client = server.connect();
            while begin.elapsed() < AGE - KEEP_ALIVE / 2 {
                assert!(!get(&mut client, GET).await);
                sleep(KEEP_ALIVE / 3).await;
            }
            let half = &GET[..20];
            if together {
                sleep_until(begin + AGE - HIBERNATE_AFTER / 2).await;
                assert!(!get(&mut client, &format!("{GET}{half}")).await);
            } else {
                sleep_until(begin + AGE + AGE_GRACE / 2).await;
                client.write_all(half.as_bytes()).await.unwrap();
            }
            sleep(3 * AGE_GRACE).await;
            let sent_at = Instant::now();
            assert!(
                get(&mut client, &GET[half.len()..]).await,
                "the response has Connection: close"
            );
            wait_closed(&mut client).await;
            let end = server.end().await;
            assert_ended(&end, sent_at, Duration::ZERO, Some(TimedOut::Age));
            assert_eq!(end.deadlines, 1, "{idle:?}");
        }
    }
}

/// The connection is used so often that it does not hibernate, and seldom reads the clock.
#[tokio::test(start_paused = true)]
async fn busy_connection_times_out_soon_after_its_last_response() {
    for keep_alive in [SECOND, KEEP_ALIVE] {
        for idle in [HIBERNATE_AFTER, Duration::MAX] {
            let mut server = serve_with(idle, |timeouts| timeouts.with_keep_alive(keep_alive));
            let mut client = server.connect();
            let (begin, mut last) = (Instant::now(), Instant::now());
            while begin.elapsed() < 60 * SECOND {
                sleep(50 * MS).await;
                last = Instant::now();
                assert!(!get(&mut client, GET).await);
            }
            let late = idle.min(keep_alive / 16).min(SECOND);
            wait_closed(&mut client).await;
            let end = server.end().await;
            let when = keep_alive..=keep_alive + late + CLOCK_TOLERANCE;
            assert_ended_between(&end, last, when, Some(TimedOut::KeepAlive));
        }
    }
}

/// The age is reached in the same poll in which the connection changes how it writes.
#[tokio::test(start_paused = true)]
async fn busy_connection_gets_connection_close_at_its_age() {
    // In one of these cases a read of the clock coincides with the age.
    for idle in [MS, 10 * MS, HIBERNATE_AFTER, Duration::MAX] {
        for before in 28..=36_u32 {
            for early in 0..=3_u32 {
                let age = before * 5 * MS;
                let mut server = serve_with(idle, |timeouts| timeouts.with_age(age));
                let begin = Instant::now();
                let mut client = server.connect();
                sleep(MS).await;
                let first = begin + age - (before - 1) * 4 * MS - early * MS;
                let mut sent = 0;
                sleep_until(first).await;
                loop {
                    sent += 1;
                    if get(&mut client, GET).await {
                        break;
                    }
                    assert!(
                        begin.elapsed() <= age + 10 * MS,
                        "{idle:?}, {before} before, {early} ms early: no Connection: close within {sent} requests"
                    );
                    sleep_until(first + sent * 4 * MS).await;
                }
                wait_closed(&mut client).await;
                assert_eq!(server.end().await.timed_out, Some(TimedOut::Age));
            }
        }
    }
}

mod drain {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);
    /// A quarter of the grace period, at most one second.
    const LAME_DUCK: Duration = SECOND;

    #[tokio::test(start_paused = true)]
    async fn hibernating_connection_is_closed_after_the_lame_duck_stage() {
        for idle in HIBERNATE_AFTER_CASES {
            let mut server = serve_with(idle, |timeouts| timeouts);
            let mut client = server.connect();
            assert!(!get(&mut client, GET).await);
            sleep(20 * SECOND).await;
            let begin = Instant::now();
            let ended_all = server.handle.shutdown(GRACE);
            wait_closed(&mut client).await;
            let report = ended_all.await.unwrap();
            assert_eq!((report.completed, report.aborted), (1, 0));
            assert_ended(&server.end().await, begin, LAME_DUCK, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hibernating_connection_gets_connection_close_in_the_lame_duck_stage() {
        for idle in HIBERNATE_AFTER_CASES {
            let mut server = serve_with(idle, |timeouts| timeouts);
            let mut client = server.connect();
            assert!(!get(&mut client, GET).await);
            sleep(20 * SECOND).await;
            let wait = server.handle.shutdown(GRACE);
            sleep(LAME_DUCK - 2 * CLOCK_TOLERANCE).await;
            let sent_at = Instant::now();
            assert!(get(&mut client, GET).await);
            wait_closed(&mut client).await;
            assert_ended(&server.end().await, sent_at, Duration::ZERO, None);
            let report = wait.await.unwrap();
            assert_eq!((report.completed, report.aborted), (1, 0));
        }
    }

    /// This includes a head that arrived with the previous request, which is detected when the
    /// connection hibernates or is about to be closed.
    #[tokio::test(start_paused = true)]
    async fn partial_head_is_completed_during_a_drain() {
        for idle in HIBERNATE_AFTER_CASES {
            let server = serve_with(idle, |timeouts| timeouts);
            let (mut apart, mut together) = (server.connect(), server.connect());
            for client in [&mut apart, &mut together] {
                assert!(!get(client, GET).await);
            }
            sleep(20 * SECOND).await;
            apart.write_all(&GET.as_bytes()[..20]).await.unwrap();
            assert!(!get(&mut together, &format!("{GET}{}", &GET[..20])).await);
            all_tasks_idle().await;
            let wait = server.handle.shutdown(GRACE);
            sleep(LAME_DUCK + SECOND).await;
            assert!(get(&mut apart, &GET[20..]).await);
            assert!(get(&mut together, &GET[20..]).await);
            assert_eq!(wait.await.unwrap().aborted, 0);
        }
    }
}
