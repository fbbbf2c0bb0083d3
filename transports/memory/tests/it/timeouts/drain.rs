//! The stages of a drain.

use super::*;

const GRACE: Duration = Duration::from_secs(30);
/// A quarter of the grace period, at most one second.
const LAME_DUCK: Duration = SECOND;

#[tokio::test(start_paused = true)]
async fn listener_closes_after_the_lame_duck_stage() {
    let server = serve();
    let mut busy = server.connect();
    send(&mut busy, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    drop(server.handle.shutdown(GRACE));
    sleep(LAME_DUCK - 2 * CLOCK_TOLERANCE).await;
    let mut late = server.connect();
    send(&mut late, GET).await;
    assert!(
        read_to_end(&mut late)
            .await
            .contains("connection: close\r\n")
    );
    while server.accepts() {
        sleep(CLOCK_TOLERANCE / 3).await;
    }
    let elapsed = begin.elapsed();
    assert!(
        (LAME_DUCK..LAME_DUCK * 11 / 10).contains(&elapsed),
        "the listener closed after {elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed_after_the_lame_duck_stage() {
    for (grace, lame_duck) in [(GRACE, LAME_DUCK), (2 * SECOND, SECOND / 2)] {
        let mut server = serve();
        let mut client = server.connect();
        send(&mut client, GET).await;
        read_response(&mut client).await;
        let begin = Instant::now();
        let report = server.handle.shutdown(grace).await.unwrap();
        assert_eq!((report.completed, report.aborted), (1, 0));
        assert_ended(&server.end().await, begin, lame_duck, None);
        assert_elapsed(Instant::now(), begin, lame_duck);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_h2_connection_is_closed_at_once() {
    let mut server = serve();
    let h2 = H2::connect(&server).await;
    assert_eq!(h2.status("/").await, 200);
    let begin = Instant::now();
    server.handle.shutdown(GRACE).await.unwrap();
    assert_ended(&server.end().await, begin, Duration::ZERO, None);
    h2.connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn busy_connections_are_aborted_at_the_end_of_the_grace_period() {
    let mut server = serve();
    let mut h1 = server.connect();
    send(&mut h1, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let h2 = H2::connect(&server).await;
    let (_response, _sender) = h2.send_request("/never", true).await;
    all_tasks_idle().await;
    let begin = Instant::now();
    let report = server.handle.shutdown(GRACE).await.unwrap();
    assert_elapsed(Instant::now(), begin, GRACE);
    assert_eq!((report.completed, report.aborted), (0, 2));
    for _ in 0..2 {
        let end = server.end().await;
        assert!(end.aborted, "{end:?}");
        assert_elapsed(end.at, begin, GRACE);
    }
}

#[tokio::test(start_paused = true)]
async fn second_shutdown_shortens_the_grace_period_from_its_own_call() {
    let server = serve();
    let mut client = server.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    let wait = server.handle.shutdown(GRACE);
    sleep(10 * SECOND).await;
    drop(server.handle.shutdown(5 * SECOND));
    assert_eq!(wait.await.unwrap().aborted, 1);
    assert_elapsed(Instant::now(), begin, 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn request_that_ends_within_the_grace_period_is_not_aborted() {
    let mut server = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let mut client = server.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let begin = Instant::now();
    let wait = server.handle.shutdown(GRACE);
    let response = read_to_end(&mut client).await;
    assert!(response.starts_with("HTTP/1.1 504") && response.contains("connection: close\r\n"));
    assert_eq!(wait.await.unwrap().aborted, 0);
    let end = server.end().await;
    assert!((end.at - begin) <= 20 * SECOND, "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn new_connection_without_request_is_closed_after_a_lame_duck_stage() {
    let mut server = serve();
    let mut busy = server.connect();
    send(&mut busy, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    drop(server.handle.shutdown(GRACE));
    sleep(LAME_DUCK / 2).await;
    let begin = Instant::now();
    let _silent = server.connect();
    assert_ended(&server.end().await, begin, LAME_DUCK, None);
}
