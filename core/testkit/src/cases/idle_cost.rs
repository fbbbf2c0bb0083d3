//! Waiting connections are not polled, whatever they wait for.
use crate::{
    app::HELLO,
    client::{
        get,
        h2::{receive, request},
        post,
    },
    harness::{
        case::cases,
        site::Site,
        upgraded::{echoes, upgraded},
        watch::Notes,
    },
};
use std::time::Duration;
use tokio::time::sleep;

cases![
    connections_that_wait_for_bytes_are_not_polled,
    connections_that_wait_for_the_app_are_not_polled,
    connections_whose_peers_read_nothing_are_not_polled also abroad,
];

/// How long polls are counted.
const WHILE: Duration = Duration::from_secs(1);

/// As often may the streams of all waiting connections of a test be asked for something in that
/// time: deadlines are looked at now and then. A worker that spins does so many thousand times.
const POLLS: usize = 200;

/// How often it's counted: what came last is worked off meanwhile, by a busy machine slowly.
const WINDOWS: usize = 20;

/// Nobody sends, reads or answers anything now, and before long hardly anybody is polled.
async fn are_left_alone(notes: &Notes) {
    let mut polls = 0;
    for _ in 0..WINDOWS {
        let before = notes.polls();
        // Not to wait for anything: it is what does not happen that counts.
        sleep(WHILE).await;
        polls = notes.polls() - before;
        if polls <= POLLS {
            return;
        }
    }
    panic!("{polls} polls in {WHILE:?} of connections that wait");
}

async fn connections_that_wait_for_bytes_are_not_polled(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
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
    echoes(&mut tunnel, "and nothing more").await;
    are_left_alone(&notes).await;
}

/// Also if bytes wait that nobody reads meanwhile: of the request's body, or of the next request.
async fn connections_that_wait_for_the_app_are_not_polled(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
    let mut clients = Vec::new();
    for sent in [
        get("/forever"),
        format!("{}{}", get("/forever"), get("/").repeat(200)),
        format!("{}{}", post("/hold", 100_000), "x".repeat(20_000)),
        format!("{}{}", post("/forever", 100_000), "x".repeat(20_000)),
        get("/stalls"),
    ] {
        let (mut write, read) = server.client().await.split();
        // What does not fit into the transport's buffers is not sent for as long as the app waits.
        tokio::spawn(async move { write.send(sent).await });
        server.state.arrived().await;
        clients.push(read);
    }
    let mut h2 = server.h2().await;
    let (_response, _) = h2.begin(request("/forever"), true).await.unwrap();
    server.state.arrived().await;
    are_left_alone(&notes).await;
}

async fn connections_whose_peers_read_nothing_are_not_polled(site: Site) {
    let (server, notes) = site.serve_watched(|server| server);
    let (mut stream, mut big) = (server.client().await, server.client().await);
    stream.send(get("/stream")).await;
    assert_eq!(stream.head().await.unwrap().status, 200);
    big.send(get("/big")).await;
    assert_eq!(big.head().await.unwrap().status, 200);
    // One HTTP/2 stream without a window, and a connection whose client reads no frame.
    let mut h2 = server.h2().await;
    let (response, _) = h2.begin(request("/stream"), true).await.unwrap();
    let _body = response.await.unwrap().into_body();
    let mut deaf = server.h2().await;
    let (response, _) = deaf.begin(request("/stream"), true).await.unwrap();
    let mut body = response.await.unwrap().into_body();
    assert!(receive(&mut body).await.unwrap().is_some());
    deaf.connection.abort();
    let (mut write, _read) = upgraded(&server).await.split();
    let echoed = tokio::spawn(async move { while write.try_send([0; 64 * 1024]).await.is_ok() {} });
    are_left_alone(&notes).await;
    echoed.abort();
}
