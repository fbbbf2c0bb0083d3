//! HTTP/2, where idle means that no stream is open.

use super::*;

/// After so long, a peer that says nothing is asked whether it's there, and has so long to answer.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

#[tokio::test(start_paused = true)]
async fn half_a_preface_has_the_time_of_a_head() {
    let mut scene = serve();
    let begin = Instant::now();
    let mut client = scene.connect();
    send(&mut client, "PRI * HTTP/2.0\r\n").await;
    ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_asks_is_kept_alive() {
    let mut scene = serve();
    let begin = Instant::now();
    let h2 = H2::connect(&scene).await;
    h2.connection.await.unwrap().unwrap();
    ended(
        &scene.end().await,
        begin,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_alive_since_its_last_answer() {
    let mut scene = serve();
    let h2 = H2::connect(&scene).await;
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        assert_eq!(h2.status("/").await, 200);
        sleep(KEEP_ALIVE - SECOND).await;
    }
    h2.connection.await.unwrap().unwrap();
    ended(
        &scene.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanished_is_found_by_a_ping() {
    let mut scene = serve();
    let begin = Instant::now();
    // Never polled: it reads nothing and answers nothing.
    let (requests, mut connection) = h2::client::handshake(scene.connect()).await.unwrap();
    std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut connection).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    ended(&scene.end().await, begin, PING.0 + PING.1 + LINGER, None);
    drop(requests);
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_a_body_is_an_error_of_the_app() {
    let scene = serve();
    let h2 = H2::connect(&scene).await;
    let (response, mut sender) = h2.ask("/body", false).await;
    let mut last = Instant::now();
    for byte in ["a", "b", "c"] {
        sleep(BODY_GAP - SECOND).await;
        last = Instant::now();
        sender.send_data(byte.into(), false).unwrap();
    }
    assert_eq!(response.await.unwrap().status(), 408);
    exactly(Instant::now(), last, BODY_GAP);
    assert_eq!(h2.status("/").await, 200, "the connection goes on");
}

/// It's there, as its answers to pings say, but it doesn't open its window.
#[tokio::test(start_paused = true)]
async fn who_takes_nothing_of_a_stream_loses_the_stream() {
    let mut scene = serve();
    let h2 = H2::connect(&scene).await;
    let (response, _sender) = h2.ask("/stream", true).await;
    let begin = Instant::now();
    let mut body = response.await.unwrap().into_body();
    let reset = loop {
        match body.data().await.unwrap() {
            Ok(_kept) => {}
            Err(error) => break error,
        }
    };
    assert!(reset.is_reset(), "{reset}");
    exactly(Instant::now(), begin, WRITE_STALL);
    let last = Instant::now();
    assert_eq!(h2.status("/").await, 200, "the connection goes on");
    h2.connection.await.unwrap().unwrap();
    ended(
        &scene.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_504() {
    let scene = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let h2 = H2::connect(&scene).await;
    let begin = Instant::now();
    let (slow, _sender) = h2.ask("/never", true).await;
    assert_eq!(h2.status("/").await, 200, "another stream doesn't wait");
    assert_eq!(slow.await.unwrap().status(), 504);
    exactly(Instant::now(), begin, 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_says_goodbye_and_finishes() {
    const AGE: Duration = Duration::from_secs(600);
    let mut scene = serve_with(|timeouts| {
        let timeouts = timeouts.with_age(AGE).with_request(AGE + 20 * SECOND);
        timeouts.with_keep_alive(Duration::MAX)
    });
    let begin = Instant::now();
    let (idle, busy) = (H2::connect(&scene).await, H2::connect(&scene).await);
    let (slow, _sender) = busy.ask("/never", true).await;
    idle.connection.await.unwrap().unwrap();
    ended(&scene.end().await, begin, AGE, Some(TimedOut::Age));
    assert_eq!(slow.await.unwrap().status(), 504);
    busy.connection.await.unwrap().unwrap();
    ended(
        &scene.end().await,
        begin,
        AGE + 20 * SECOND,
        Some(TimedOut::Age),
    );
}
