//! Waiting connections are not polled, whatever they wait for.
use crate::{
    app::HELLO,
    client::{
        get,
        h2::{receive, request},
        post,
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        instrumented::Counters,
        upgraded::{assert_echo, upgraded},
    },
};
use std::time::Duration;
use tokio::time::sleep;

cases![
    connections_waiting_for_bytes_are_not_polled,
    connections_waiting_for_the_app_are_not_polled,
    connections_whose_peers_read_nothing_are_not_polled also cross_thread,
];

/// The interval in which polls are counted.
const WHILE: Duration = Duration::from_secs(1);

/// The number of polls that all waiting connections of a case may have in an interval, because
/// timeouts are checked now and then. A worker that spins polls many thousand times.
const POLLS: usize = 200;

/// The number of intervals. A busy machine may still process the last bytes in the first of them.
const WINDOWS: usize = 20;

/// Asserts that waiting connections are soon not polled any more.
async fn assert_not_polled(counters: &Counters) {
    let mut polls = 0;
    for _ in 0..WINDOWS {
        let before = counters.polls();
        // Polls in this time would fail the case; the sleep does not wait for an event.
        sleep(WHILE).await;
        polls = counters.polls() - before;
        if polls <= POLLS {
            return;
        }
    }
    panic!("expected at most {POLLS} polls of waiting connections in {WHILE:?}, got {polls}");
}

async fn connections_waiting_for_bytes_are_not_polled(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let _silent = server.client().await;
    let mut in_a_head = server.client().await;
    in_a_head.send("GET / HTTP/1.1\r\nHo").await;
    let mut in_a_second_head = server.client().await;
    in_a_second_head.send(format!("{}GET / HT", get("/"))).await;
    assert_eq!(in_a_second_head.response().await.body, HELLO);
    let mut in_an_upload = server.client().await;
    in_an_upload
        .send(format!("{}hello", post("/len", 100_000)))
        .await;
    let mut kept_alive = server.client().await;
    assert_eq!(kept_alive.get("/").await.body, HELLO);
    let mut h2 = server.h2().await;
    assert_eq!(h2.get("/").await.body, HELLO);
    let (_response, mut send) = h2.begin(request("/len"), false).await.unwrap();
    send.send_data("hello".into(), false).unwrap();
    let mut tunnel = upgraded(&server).await;
    assert_echo(&mut tunnel, "and nothing more").await;
    assert_not_polled(&counters).await;
}

/// Unread bytes of the body or of the next request make no difference.
async fn connections_waiting_for_the_app_are_not_polled(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let mut clients = Vec::new();
    for sent in [
        get("/forever"),
        format!("{}{}", get("/forever"), get("/").repeat(200)),
        format!("{}{}", post("/hold", 100_000), "x".repeat(20_000)),
        format!("{}{}", post("/forever", 100_000), "x".repeat(20_000)),
        get("/stalls"),
    ] {
        let (mut write, read) = server.client().await.split();
        // Bytes that do not fit into the transport's buffers are not sent while the app waits.
        tokio::spawn(async move { write.send(sent).await });
        server.state.arrived().await;
        clients.push(read);
    }
    let mut h2 = server.h2().await;
    let (_response, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    assert_not_polled(&counters).await;
}

async fn connections_whose_peers_read_nothing_are_not_polled(subject: AnySubject) {
    let (server, counters) = subject.serve_instrumented(|server| server);
    let (mut stream, mut big) = (server.client().await, server.client().await);
    stream.send(get("/stream")).await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    big.send(get("/big")).await;
    assert_eq!(big.head().await.unwrap().status, 200);
    // An HTTP/2 stream without a window, and a connection whose client reads no frame.
    let mut h2 = server.h2().await;
    let (response, _) = h2.begin(request("/stream"), true).await.unwrap();
    let _body = response.await.unwrap().into_body();
    let mut not_reading = server.h2().await;
    let (response, _) = not_reading.begin(request("/stream"), true).await.unwrap();
    let mut body = response.await.unwrap().into_body();
    assert!(receive(&mut body).await.unwrap().is_some());
    not_reading.connection.abort();
    let (mut write, _read) = upgraded(&server).await.split();
    let echoed = tokio::spawn(async move { while write.try_send([0; 64 * 1024]).await.is_ok() {} });
    assert_not_polled(&counters).await;
    echoed.abort();
}
