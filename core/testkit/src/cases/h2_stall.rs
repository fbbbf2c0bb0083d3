//! HTTP/2 peers that keep a connection alive, and read nothing, request nothing, or send nothing.
use crate::{
    app::HELLO,
    client::{
        Client,
        h2::{H2, request},
        h2_frames::{PING, PREFACE, SETTINGS_ACK, acknowledge_ping, next_frame},
    },
    harness::{attempts::in_time, case::cases, running::Running, site::Site},
};
use anyport_core::Timeouts;
use bytes::BytesMut;
use h2::RecvStream;
use std::time::{Duration, Instant};
use tokio::{
    io::AsyncReadExt,
    time::{interval, timeout},
};

cases![
    a_stream_whose_window_stays_shut_is_reset,
    a_whole_body_behind_a_shut_window_holds_nobody_for_ever,
    pings_are_no_use_of_a_connection,
    a_silent_peer_does_not_make_a_drain_last_the_whole_grace,
];

const SHORT: Duration = Duration::from_millis(300);
/// Far more than any scheduling takes, far less than any other deadline.
const SLACK: Duration = Duration::from_secs(20);

fn serve(site: &Site, timeouts: impl FnOnce(Timeouts) -> Timeouts) -> Running {
    let timeouts = timeouts(Timeouts::default());
    site.serve_as(|server| server.timeouts(timeouts))
}

/// The body of a response that this client never makes room for.
async fn shut(h2: &mut H2, path: &str) -> RecvStream {
    let (response, _) = h2.begin(request(path), true).await.unwrap();
    response.await.unwrap().into_body()
}

async fn a_stream_whose_window_stays_shut_is_reset(site: Site) {
    let server = serve(&site, |t| t.with_write_stall(SHORT));
    let mut h2 = server.h2().await;
    assert_eq!(h2.get("/").await.body, HELLO);
    let begin = Instant::now();
    let mut body = shut(&mut h2, "/stream").await;
    let error = loop {
        match body.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("an endless body has ended"),
        }
    };
    let elapsed = begin.elapsed();
    assert!(error.is_reset() && error.is_remote(), "{error}");
    assert!(elapsed >= SHORT * 9 / 10, "too early: {elapsed:?}");
    assert!(elapsed < SHORT + SLACK, "too late: {elapsed:?}");
    // What the client has dropped is room again.
    drop(body);
    assert_eq!(h2.get("/").await.body, HELLO, "the connection goes on");
}

/// The app has handed over all of it, so no stream is left that could be reset: the connection is
/// idle, though not empty.
async fn a_whole_body_behind_a_shut_window_holds_nobody_for_ever(site: Site) {
    in_time(site, |site, short, pace| async move {
        let server = serve(&site, |t| t.with_write_stall(short).with_keep_alive(short));
        let mut h2 = server.h2().await;
        let _body = shut(&mut h2, "/big").await;
        pace.step();
        server.settles(0).await;
    })
    .await;
}

async fn pings_are_no_use_of_a_connection(site: Site) {
    let server = serve(&site, |t| t.with_keep_alive(SHORT).with_write_stall(SHORT));
    // Their acknowledgements together are as large as an answer might be.
    for (at_once, answers) in [(1, true), (4, true), (8, true), (1, false)] {
        let mut client = server.raw_h2().await;
        client.send([PREFACE, SETTINGS_ACK].concat()).await;
        let closed = timeout(SLACK, pings(&mut client, at_once, answers)).await;
        closed.unwrap_or_else(|_| panic!("{at_once} pings at once keep the connection open"));
        drop(client);
        server.settles(0).await;
    }
}

/// Pings again and again, and perhaps answers the server's pings, until the server has had enough.
async fn pings(client: &mut Client, at_once: usize, answers: bool) {
    let mut next = interval(SHORT / 5);
    let mut got = BytesMut::new();
    loop {
        tokio::select! {
            read = client.io.read_buf(&mut got) => if matches!(read, Ok(0) | Err(_)) {
                return;
            },
            _ = next.tick() => client.send(PING.repeat(at_once)).await,
        }
        while let Some(frame) = next_frame(&mut got) {
            if answers {
                acknowledge_ping(client, &frame).await;
            }
        }
    }
}

/// It doesn't answer the ping that asks whether it has seen the GOAWAY.
async fn a_silent_peer_does_not_make_a_drain_last_the_whole_grace(site: Site) {
    let grace = Duration::from_secs(20);
    let server = site.serve();
    let mut client = server.raw_h2().await;
    client.send([PREFACE, SETTINGS_ACK].concat()).await;
    // The head of the server's SETTINGS: both speak HTTP/2 now.
    client.exactly(9).await.unwrap();
    let begin = Instant::now();
    let report = server.handle.shutdown(grace).await.unwrap();
    assert!(begin.elapsed() < grace * 3 / 4, "{:?}", begin.elapsed());
    assert_eq!((report.completed, report.aborted), (1, 0));
}
