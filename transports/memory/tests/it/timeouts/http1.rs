//! Timeouts of HTTP/1 clients.

use super::*;

#[tokio::test(start_paused = true)]
async fn client_that_sends_nothing_gets_the_head_timeout() {
    let mut server = serve();
    let begin = Instant::now();
    let _client = server.connect();
    assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn trickling_first_head_times_out_from_the_start() {
    let mut server = serve();
    let begin = Instant::now();
    let mut client = server.connect();
    let trickle = tokio::spawn(async move {
        for byte in GET.as_bytes().iter().cycle() {
            sleep(2 * SECOND).await;
            if *byte != b'\r' && client.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn second_head_times_out_from_its_first_byte() {
    let mut server = serve();
    let mut client = server.connect();
    send(&mut client, GET).await;
    assert!(read_response(&mut client).await.starts_with("HTTP/1.1 200"));
    // Longer than the head timeout, but the connection is idle.
    sleep(HEAD + 10 * SECOND).await;
    let begin = Instant::now();
    send(&mut client, "GET / HTTP/1.1\r\nX: ").await;
    assert_ended(&server.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn keep_alive_runs_from_the_last_response() {
    let mut server = serve();
    let mut client = server.connect();
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        send(&mut client, GET).await;
        assert!(read_response(&mut client).await.starts_with("HTTP/1.1 200"));
        sleep(KEEP_ALIVE - SECOND).await;
    }
    assert_eq!(
        read_to_end(&mut client).await,
        "",
        "the connection is closed without a byte"
    );
    assert_ended(
        &server.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn body_gap_is_an_error_in_the_app() {
    let mut server = serve();
    let mut client = server.connect();
    send(
        &mut client,
        "POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    let mut last = Instant::now();
    // A slow body is not a stalled one.
    for byte in ["a", "b", "c"] {
        sleep(BODY_GAP - SECOND).await;
        last = Instant::now();
        send(&mut client, byte).await;
    }
    assert!(read_response(&mut client).await.starts_with("HTTP/1.1 408"));
    assert_elapsed(Instant::now(), last, BODY_GAP);
    // Later bytes of the body could not be distinguished from a request, so the connection is
    // closed.
    assert_ended(
        &server.end().await,
        last,
        BODY_GAP + LINGER,
        Some(TimedOut::BodyGap),
    );
}

#[tokio::test(start_paused = true)]
async fn endless_unread_upload_is_cut_off() {
    let mut server = serve();
    let mut client = server.connect();
    let begin = Instant::now();
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n";
    send(&mut client, head).await;
    assert!(read_response(&mut client).await.starts_with("HTTP/1.1 200"));
    let trickle = async {
        while client.write_all(b"more").await.is_ok() {
            sleep(SECOND).await;
        }
    };
    timeout(NEVER, trickle).await.unwrap();
    assert_ended(&server.end().await, begin, MAX_LINGER, None);
}

#[tokio::test(start_paused = true)]
async fn client_that_reads_nothing_hits_the_write_stall() {
    let mut server = serve();
    let mut client = server.connect();
    let begin = Instant::now();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert_ended(
        &server.end().await,
        begin,
        WRITE_STALL,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn write_stall_runs_from_the_last_read() {
    let mut server = serve();
    let mut client = server.connect();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut last = Instant::now();
    for _ in 0..5 {
        sleep(WRITE_STALL - SECOND).await;
        assert_eq!(server.handle.connections(), 1);
        last = Instant::now();
        client.read_exact(&mut [0; 16 * 1024]).await.unwrap();
    }
    assert_ended(
        &server.end().await,
        last,
        WRITE_STALL,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn slow_request_gets_a_504_response() {
    let server = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let mut client = server.connect();
    let begin = Instant::now();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(read_response(&mut client).await.starts_with("HTTP/1.1 504"));
    assert_elapsed(Instant::now(), begin, 20 * SECOND);
    send(&mut client, GET).await;
    assert!(
        read_response(&mut client).await.starts_with("HTTP/1.1 200"),
        "the connection stays open"
    );
}

#[tokio::test(start_paused = true)]
async fn request_has_no_timeout_by_default() {
    let server = serve();
    let mut client = server.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    sleep(NEVER).await;
    assert_eq!(server.handle.connections(), 1);
}

const AGE: Duration = Duration::from_secs(600);
/// How long a connection at its age may be idle: a request may be in flight.
const AGE_GRACE: Duration = SECOND;

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed_at_its_age() {
    let mut server = serve_with(|timeouts| timeouts.with_age(AGE).with_keep_alive(Duration::MAX));
    let begin = Instant::now();
    let mut client = server.connect();
    send(&mut client, GET).await;
    assert!(
        !read_response(&mut client)
            .await
            .contains("connection: close")
    );
    assert_eq!(read_to_end(&mut client).await, "");
    assert_ended(
        &server.end().await,
        begin,
        AGE + AGE_GRACE,
        Some(TimedOut::Age),
    );
}

#[tokio::test(start_paused = true)]
async fn connection_at_its_age_gets_connection_close() {
    let mut server = serve_with(|timeouts| timeouts.with_age(AGE));
    let begin = Instant::now();
    let mut client = server.connect();
    while begin.elapsed() < AGE {
        send(&mut client, GET).await;
        assert!(
            !read_response(&mut client)
                .await
                .contains("connection: close")
        );
        let next = begin + AGE + AGE_GRACE / 2;
        tokio::time::sleep_until(next.min(Instant::now() + 50 * SECOND)).await;
    }
    let last = Instant::now();
    send(&mut client, GET).await;
    assert!(
        read_to_end(&mut client)
            .await
            .contains("connection: close\r\n")
    );
    assert_ended(
        &server.end().await,
        last,
        Duration::ZERO,
        Some(TimedOut::Age),
    );
}

#[tokio::test(start_paused = true)]
async fn connection_at_its_age_finishes_its_response() {
    let mut server = serve_with(|timeouts| timeouts.with_age(AGE));
    let mut client = server.connect();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    // Twice the maximum age.
    for _ in 0..AGE.as_secs() / 20 {
        sleep(40 * SECOND).await;
        client.read_exact(&mut [0; 1024]).await.unwrap();
    }
    drop(client);
    assert_eq!(server.end().await.timed_out, Some(TimedOut::Age));
}
