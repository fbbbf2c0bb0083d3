//! HTTP/1: what the client owes.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_silent_client_has_the_time_of_a_head() {
    let mut scene = serve();
    let begin = Instant::now();
    let _client = scene.connect();
    ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_has_the_same_time_from_the_connection_s_start() {
    let mut scene = serve();
    let begin = Instant::now();
    let mut client = scene.connect();
    let trickle = tokio::spawn(async move {
        for byte in GET.as_bytes().iter().cycle() {
            sleep(2 * SECOND).await;
            if *byte != b'\r' && client.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_head_has_its_time_from_its_first_byte() {
    let mut scene = serve();
    let mut client = scene.connect();
    send(&mut client, GET).await;
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
    // Longer than a head may take, but the connection is just idle.
    sleep(HEAD + 10 * SECOND).await;
    let begin = Instant::now();
    send(&mut client, "GET / HTTP/1.1\r\nX: ").await;
    ended(&scene.end().await, begin, HEAD, Some(TimedOut::Head));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_alive_since_its_last_answer() {
    let mut scene = serve();
    let mut client = scene.connect();
    let mut last = Instant::now();
    for _ in 0..3 {
        last = Instant::now();
        send(&mut client, GET).await;
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        sleep(KEEP_ALIVE - SECOND).await;
    }
    assert_eq!(rest(&mut client).await, "", "closed without a word");
    ended(
        &scene.end().await,
        last,
        KEEP_ALIVE,
        Some(TimedOut::KeepAlive),
    );
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_a_body_is_an_error_of_the_app() {
    let mut scene = serve();
    let mut client = scene.connect();
    send(
        &mut client,
        "POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n",
    )
    .await;
    let mut last = Instant::now();
    // Slow is not silent.
    for byte in ["a", "b", "c"] {
        sleep(BODY_GAP - SECOND).await;
        last = Instant::now();
        send(&mut client, byte).await;
    }
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 408"));
    exactly(Instant::now(), last, BODY_GAP);
    // What comes of the body now could not be told from a request.
    ended(
        &scene.end().await,
        last,
        BODY_GAP + LINGER,
        Some(TimedOut::BodyGap),
    );
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_with_a_body_that_is_not_read_is_cut_off() {
    let mut scene = serve();
    let mut client = scene.connect();
    let begin = Instant::now();
    let head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n";
    send(&mut client, head).await;
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
    let trickle = async {
        while client.write_all(b"more").await.is_ok() {
            sleep(SECOND).await;
        }
    };
    timeout(NEVER, trickle).await.unwrap();
    ended(&scene.end().await, begin, LONGEST_LINGER, None);
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_is_cut_off() {
    let mut scene = serve();
    let mut client = scene.connect();
    let begin = Instant::now();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    ended(
        &scene.end().await,
        begin,
        WRITE_STALL,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn who_reads_now_and_then_is_cut_off_after_the_last_time() {
    let mut scene = serve();
    let mut client = scene.connect();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let mut last = Instant::now();
    for _ in 0..5 {
        sleep(WRITE_STALL - SECOND).await;
        assert_eq!(scene.handle.connections(), 1);
        last = Instant::now();
        client.read_exact(&mut [0; 16 * 1024]).await.unwrap();
    }
    ended(
        &scene.end().await,
        last,
        WRITE_STALL,
        Some(TimedOut::WriteStall),
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_504() {
    let scene = serve_with(|timeouts| timeouts.with_request(20 * SECOND));
    let mut client = scene.connect();
    let begin = Instant::now();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    assert!(answer(&mut client).await.starts_with("HTTP/1.1 504"));
    exactly(Instant::now(), begin, 20 * SECOND);
    send(&mut client, GET).await;
    assert!(
        answer(&mut client).await.starts_with("HTTP/1.1 200"),
        "the connection goes on"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_request_may_take_a_day() {
    let scene = serve();
    let mut client = scene.connect();
    send(&mut client, "GET /never HTTP/1.1\r\nHost: test\r\n\r\n").await;
    sleep(NEVER).await;
    assert_eq!(scene.handle.connections(), 1);
}

const AGE: Duration = Duration::from_secs(600);
/// How long an old connection may be idle: a request may be on its way already.
const LAST_CALL: Duration = SECOND;

#[tokio::test(start_paused = true)]
async fn an_old_connection_that_is_idle_is_closed() {
    let mut scene = serve_with(|timeouts| timeouts.with_age(AGE).with_keep_alive(Duration::MAX));
    let begin = Instant::now();
    let mut client = scene.connect();
    send(&mut client, GET).await;
    assert!(!answer(&mut client).await.contains("connection: close"));
    assert_eq!(rest(&mut client).await, "");
    ended(
        &scene.end().await,
        begin,
        AGE + LAST_CALL,
        Some(TimedOut::Age),
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_told_with_its_next_answer() {
    let mut scene = serve_with(|timeouts| timeouts.with_age(AGE));
    let begin = Instant::now();
    let mut client = scene.connect();
    while begin.elapsed() < AGE {
        send(&mut client, GET).await;
        assert!(!answer(&mut client).await.contains("connection: close"));
        let next = begin + AGE + LAST_CALL / 2;
        tokio::time::sleep_until(next.min(Instant::now() + 50 * SECOND)).await;
    }
    let last = Instant::now();
    send(&mut client, GET).await;
    assert!(rest(&mut client).await.contains("connection: close\r\n"));
    ended(
        &scene.end().await,
        last,
        Duration::ZERO,
        Some(TimedOut::Age),
    );
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_finishes_its_answer() {
    let mut scene = serve_with(|timeouts| timeouts.with_age(AGE));
    let mut client = scene.connect();
    send(&mut client, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n").await;
    // Twice as old as it may become.
    for _ in 0..AGE.as_secs() / 20 {
        sleep(40 * SECOND).await;
        client.read_exact(&mut [0; 1024]).await.unwrap();
    }
    drop(client);
    assert_eq!(scene.end().await.timed_out, Some(TimedOut::Age));
}
