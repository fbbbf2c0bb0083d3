//! The stages of a drain.

use super::*;

const GRACE: Duration = Duration::from_secs(30);
/// A quarter of the grace, and not more than this.
const LAME_DUCK: Duration = SECOND;

#[tokio::test(start_paused = true)]
async fn nobody_is_let_in_after_the_lame_duck_stage() {
    let scene = serve();
    let mut busy = scene.connect();
    send(&mut busy, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    drop(scene.handle.shutdown(GRACE));
    sleep(LAME_DUCK - 2 * TICK).await;
    let mut late = scene.connect();
    send(&mut late, GET).await;
    assert!(rest(&mut late).await.contains("connection: close\r\n"));
    while scene.accepts() {
        sleep(TICK / 3).await;
    }
    let elapsed = begin.elapsed();
    assert!(
        (LAME_DUCK..LAME_DUCK * 11 / 10).contains(&elapsed),
        "the listener closed after {elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_the_lame_duck_stage() {
    for (grace, lame_duck) in [(GRACE, LAME_DUCK), (2 * SECOND, SECOND / 2)] {
        let mut scene = serve();
        let mut client = scene.connect();
        send(&mut client, GET).await;
        answer(&mut client).await;
        let begin = Instant::now();
        let report = scene.handle.shutdown(grace).await.unwrap();
        assert_eq!((report.completed, report.aborted), (1, 0));
        ended(&scene.end().await, begin, lame_duck, None);
        exactly(Instant::now(), begin, lame_duck);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_h2_connection_is_closed_at_once() {
    let mut scene = serve();
    let h2 = H2::connect(&scene).await;
    assert_eq!(h2.status("/").await, 200);
    let begin = Instant::now();
    scene.handle.shutdown(GRACE).await.unwrap();
    ended(&scene.end().await, begin, Duration::ZERO, None);
    h2.connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_still_busy_when_the_grace_is_over_is_aborted() {
    let mut scene = serve();
    let mut h1 = scene.connect();
    send(&mut h1, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let h2 = H2::connect(&scene).await;
    let (_response, _sender) = h2.ask("/never", true).await;
    settled().await;
    let begin = Instant::now();
    let report = scene.handle.shutdown(GRACE).await.unwrap();
    exactly(Instant::now(), begin, GRACE);
    assert_eq!((report.completed, report.aborted), (0, 2));
    for _ in 0..2 {
        let end = scene.end().await;
        assert!(end.aborted, "{end:?}");
        exactly(end.at, begin, GRACE);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_shortens_the_grace_from_its_own_call() {
    let scene = serve();
    let mut client = scene.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    let wait = scene.handle.shutdown(GRACE);
    sleep(10 * SECOND).await;
    drop(scene.handle.shutdown(5 * SECOND));
    assert_eq!(wait.await.unwrap().aborted, 1);
    exactly(Instant::now(), begin, 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_ends_in_time_is_not_aborted() {
    let mut scene = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let mut client = scene.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    let wait = scene.handle.shutdown(GRACE);
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 504") && answer.contains("connection: close\r\n"));
    assert_eq!(wait.await.unwrap().aborted, 0);
    let end = scene.end().await;
    assert!((end.at - begin) <= 20 * SECOND, "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_spoke_has_the_lame_duck_stage_since_it_was_accepted() {
    let mut scene = serve();
    let mut busy = scene.connect();
    send(&mut busy, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    drop(scene.handle.shutdown(GRACE));
    sleep(LAME_DUCK / 2).await;
    let begin = Instant::now();
    let _silent = scene.connect();
    ended(&scene.end().await, begin, LAME_DUCK, None);
}
