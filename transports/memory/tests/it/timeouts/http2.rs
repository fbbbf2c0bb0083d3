//! Timeouts of HTTP/2 clients. A connection is idle while no stream is open.

use super::*;

/// After how long a silent peer gets a PING, and how long it has to respond.
const PING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

#[tokio::test(start_paused = true)]
async fn partial_preface_gets_the_head_timeout() {
    let mut server = serve();
    let begin = Instant::now();
    let mut client = server.connect();
    send(&mut client, "PRI * HTTP/2.0\r\n").await;
    assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn connection_without_request_gets_the_keep_alive_timeout() {
    let mut server = serve();
    let begin = Instant::now();
    let h2 = H2::connect(&server).await;
    h2.connection.await.unwrap().unwrap();
    assert_ended(
        &server.end().await,
        begin,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn keep_alive_runs_from_the_last_response() {
    let mut server = serve();
    let h2 = H2::connect(&server).await;
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        assert_eq!(h2.status("/").await, 200);
        sleep(KEEP_ALIVE - SECOND).await;
    }
    h2.connection.await.unwrap().unwrap();
    assert_ended(
        &server.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn ping_detects_a_vanished_peer() {
    let mut server = serve();
    let begin = Instant::now();
    // The connection is not polled again: it reads nothing, and does not respond.
    let (requests, mut connection) = h2::client::handshake(server.connect()).await.unwrap();
    std::future::poll_fn(|cx| {
        assert!(Pin::new(&mut connection).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    assert_ended(&server.end().await, begin, PING.0 + PING.1 + LINGER, None);
    drop(requests);
}

#[tokio::test(start_paused = true)]
async fn body_gap_is_an_error_in_the_app() {
    let server = serve();
    let h2 = H2::connect(&server).await;
    let (response, mut sender) = h2.send_request("/body", false).await;
    let mut last = Instant::now();
    for byte in ["a", "b", "c"] {
        sleep(BODY_GAP - SECOND).await;
        last = Instant::now();
        sender.send_data(byte.into(), false).unwrap();
    }
    assert_eq!(response.await.unwrap().status(), 408);
    assert_elapsed(Instant::now(), last, BODY_GAP);
    assert_eq!(h2.status("/").await, 200, "the connection stays open");
}

/// The peer responds to pings, but does not open its window.
#[tokio::test(start_paused = true)]
async fn write_stall_resets_only_its_stream() {
    let mut server = serve();
    let h2 = H2::connect(&server).await;
    let (response, _sender) = h2.send_request("/stream", true).await;
    let begin = Instant::now();
    let mut body = response.await.unwrap().into_body();
    let reset = loop {
        match body.data().await.unwrap() {
            Ok(_kept) => {}
            Err(error) => break error,
        }
    };
    assert!(reset.is_reset(), "{reset}");
    assert_elapsed(Instant::now(), begin, WRITE_STALL);
    let last = Instant::now();
    assert_eq!(h2.status("/").await, 200, "the connection stays open");
    h2.connection.await.unwrap().unwrap();
    assert_ended(
        &server.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn slow_request_gets_a_504_response() {
    let server = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let h2 = H2::connect(&server).await;
    let begin = Instant::now();
    let (slow, _sender) = h2.send_request("/never", true).await;
    assert_eq!(h2.status("/").await, 200, "another stream does not wait");
    assert_eq!(slow.await.unwrap().status(), 504);
    assert_elapsed(Instant::now(), begin, 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn connection_at_its_age_sends_goaway_and_finishes() {
    const AGE: Duration = Duration::from_secs(600);
    let mut server = serve_with(|timeouts| {
        let timeouts = timeouts.with_age(AGE).with_request(AGE + 20 * SECOND);
        timeouts.with_keep_alive(Duration::MAX)
    });
    let begin = Instant::now();
    let (idle, busy) = (H2::connect(&server).await, H2::connect(&server).await);
    let (slow, _sender) = busy.send_request("/never", true).await;
    idle.connection.await.unwrap().unwrap();
    assert_ended(&server.end().await, begin, AGE, Some(TimedOut::Age));
    assert_eq!(slow.await.unwrap().status(), 504);
    busy.connection.await.unwrap().unwrap();
    assert_ended(
        &server.end().await,
        begin,
        AGE + 20 * SECOND,
        Some(TimedOut::Age),
    );
}
