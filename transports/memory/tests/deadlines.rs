//! Every deadline with its default, to the millisecond: on tokio's paused clock, so that minutes take no time.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod scene;

use anyport_core::{Body, BoxError, Server, Timeouts, observe::TimedOut};
use anyport_memory::MemoryStream;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use scene::{End, Scene, settled};
use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
/// The defaults of [`Timeouts`], spelled out: a change of one is to be seen.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const BODY_GAP: Duration = Duration::from_secs(60);
const WRITE_STALL: Duration = Duration::from_secs(60);
/// How long a peer is waited for that may be sending still, and says nothing.
const LINGER: Duration = Duration::from_secs(2);
/// How long it may go on.
const LONGEST_LINGER: Duration = Duration::from_secs(30);
/// tokio's clock counts in milliseconds, and rounds up; a settled scene is one later.
const TICK: Duration = Duration::from_millis(3);
/// What is waited for in vain, on the paused clock.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// One route for each way to take one's time.
async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    match request.uri().path() {
        "/" => Ok(Response::new(Body::from("Hello"))),
        "/never" => pending().await,
        "/stream" => Ok(Response::new(Body::new(Endless))),
        "/body" => {
            let body = request.into_body().collect().await;
            let timed_out = |e: &BoxError| {
                let error = e.downcast_ref::<io::Error>();
                error.is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
            };
            let (status, text) = match body {
                Ok(body) => (StatusCode::OK, body.to_bytes()),
                Err(e) if timed_out(&e) => (StatusCode::REQUEST_TIMEOUT, Bytes::new()),
                Err(e) => return Err(e),
            };
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            Ok(response)
        }
        path => Err(format!("no route {path}").into()),
    }
}

/// A body without an end.
struct Endless;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8 * 1024])))))
    }
}

fn serve() -> Scene {
    Scene::serve(service_fn(app), |server| server)
}

fn serve_with(change: impl FnOnce(Timeouts) -> Timeouts) -> Scene {
    let timeouts = change(Timeouts::default());
    Scene::serve(service_fn(app), |server: Server| server.timeouts(timeouts))
}

/// Something happened as long after `since` as it had to, and no later.
#[track_caller]
fn exactly(at: Instant, since: Instant, deadline: Duration) {
    let elapsed = at - since;
    assert!(elapsed >= deadline, "{elapsed:?}, before {deadline:?} were over");
    assert!(elapsed <= deadline + TICK, "{elapsed:?}, later than {deadline:?}");
}

#[track_caller]
fn ended(end: &End, since: Instant, deadline: Duration, why: Option<TimedOut>) {
    assert_eq!(end.timed_out, why, "{end:?}");
    assert!(!end.aborted, "{end:?}");
    exactly(end.at, since, deadline);
}

async fn send(client: &mut MemoryStream, bytes: &str) {
    client.write_all(bytes.as_bytes()).await.unwrap();
    settled().await;
}

/// What the server has said by now, on a connection that it leaves open.
async fn answer(client: &mut MemoryStream) -> String {
    let mut bytes = vec![0; 4096];
    let n = timeout(NEVER, client.read(&mut bytes)).await.unwrap().unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

/// All that it says until it closes.
async fn rest(client: &mut MemoryStream) -> String {
    let mut rest = String::new();
    let read = timeout(NEVER, client.read_to_string(&mut rest)).await;
    read.unwrap().unwrap();
    rest
}

/// An HTTP/2 client that does all that it should: it reads, and answers pings.
struct H2 {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl H2 {
    async fn connect(scene: &Scene) -> Self {
        let (requests, connection) = h2::client::handshake(scene.connect()).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// A request; whoever drops the sender resets the stream.
    async fn ask(&self, path: &str, end: bool) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut ready = self.requests.clone().ready().await.unwrap();
        let request = Request::get(format!("http://test{path}")).body(()).unwrap();
        ready.send_request(request, end).unwrap()
    }

    async fn status(&self, path: &str) -> StatusCode {
        let (response, _sender) = self.ask(path, true).await;
        response.await.unwrap().status()
    }
}

/// HTTP/1: what the client owes.
mod h1 {
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
        ended(&scene.end().await, last, KEEP_ALIVE, Some(TimedOut::KeepAlive));
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
        ended(&scene.end().await, begin, WRITE_STALL, Some(TimedOut::WriteStall));
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
        ended(&scene.end().await, last, WRITE_STALL, Some(TimedOut::WriteStall));
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
        ended(&scene.end().await, begin, AGE + LAST_CALL, Some(TimedOut::Age));
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
        ended(&scene.end().await, last, Duration::ZERO, Some(TimedOut::Age));
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
}

/// HTTP/2, where idle means that no stream is open.
mod h2_client {
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
        ended(&scene.end().await, begin, KEEP_ALIVE, Some(TimedOut::KeepAlive));
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
        ended(&scene.end().await, last, KEEP_ALIVE, Some(TimedOut::KeepAlive));
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
        ended(&scene.end().await, last, KEEP_ALIVE, Some(TimedOut::WriteStall));
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
        ended(&scene.end().await, begin, AGE + 20 * SECOND, Some(TimedOut::Age));
    }
}

/// The stages of a drain.
mod drain {
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
}
