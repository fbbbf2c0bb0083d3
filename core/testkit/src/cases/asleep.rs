//! Hibernating connections: they are counted, time out, are drained, and end when their client
//! leaves.
use crate::{
    app::HELLO,
    cases::hibernation::{asleep, ends_in_order, serve, serve_as},
    client::{Client, get, stop_writing},
    harness::{
        attempts::{in_time, in_time_of},
        case::cases,
        site::Site,
    },
};
use anyport_core::{DrainReport, Limits, Timeouts};
use std::time::{Duration, Instant};
use tokio::time::sleep;

cases![
    a_client_that_closes_wakes_the_server,
    a_client_that_half_closes_wakes_the_server needs HalfClose,
    a_sleeping_connection_is_closed_when_its_time_is_over,
    a_sleeping_connection_is_closed_when_it_is_old,
    an_old_connection_that_slept_is_told_to_leave,
    a_drain_answers_who_wakes_up_and_tells_it_to_leave,
    a_drain_closes_a_sleeping_connection,
    a_drain_lets_half_a_pipelined_head_finish,
    an_abort_closes_a_sleeping_connection,
    a_sleeping_connection_holds_its_permit,
];

/// Longer than anything here takes, and so is a tenth of it, which is what a peer gets that owes
/// the rest of something.
const AMPLE: Duration = Duration::from_secs(60);
/// So long a drain lets clients ask before it closes what's idle.
const LAME_DUCK: Duration = Duration::from_secs(1);

fn assert_completed(report: DrainReport, connections: usize) {
    let got = (report.completed, report.aborted);
    assert_eq!(got, (connections, 0), "completed, aborted");
}

async fn a_client_that_closes_wakes_the_server(site: Site) {
    let (server, notes) = serve(&site);
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(asleep(&server, &notes).await);
    }
    server.settles(20).await;
    clients.truncate(7);
    server.settles(7).await;
    drop(clients);
    server.settles(0).await;
}

async fn a_client_that_half_closes_wakes_the_server(site: Site) {
    let (server, notes) = serve(&site);
    for _ in 0..5 {
        let mut client = asleep(&server, &notes).await;
        stop_writing(&mut client.io).await;
        ends_in_order(&mut client).await;
        server.settles(0).await;
    }
}

async fn a_sleeping_connection_is_closed_when_its_time_is_over(site: Site) {
    in_time(site, |site, short, pace| async move {
        let timeouts = Timeouts::default().with_keep_alive(short);
        let (server, notes) = serve_as(&site, |server| server.timeouts(timeouts));
        let mut client = asleep(&server, &notes).await;
        let begin = Instant::now();
        client.send(get("/")).await;
        pace.step();
        assert_eq!(client.response().await.body, HELLO);
        ends_in_order(&mut client).await;
        let elapsed = begin.elapsed();
        assert!((short..short + AMPLE).contains(&elapsed), "{elapsed:?}");
        server.settles(0).await;
    })
    .await;
}

async fn a_sleeping_connection_is_closed_when_it_is_old(site: Site) {
    in_time(site, |site, short, pace| async move {
        let timeouts = Timeouts::default().with_age(short);
        let (server, notes) = serve_as(&site, |server| server.timeouts(timeouts));
        let begin = Instant::now();
        let mut client = server.client().await;
        client.send(get("/")).await;
        pace.step();
        assert_eq!(client.response().await.body, HELLO);
        notes.asleep().await;
        ends_in_order(&mut client).await;
        let elapsed = begin.elapsed();
        assert!((short..short + AMPLE).contains(&elapsed), "{elapsed:?}");
        server.settles(0).await;
    })
    .await;
}

async fn an_old_connection_that_slept_is_told_to_leave(site: Site) {
    in_time(site, |site, short, pace| async move {
        let timeouts = Timeouts::default().with_age(short);
        let (server, notes) = serve_as(&site, |server| server.timeouts(timeouts));
        let begin = Instant::now();
        let mut client = server.client().await;
        loop {
            client.send(get("/")).await;
            pace.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
            assert!(begin.elapsed() < short + AMPLE, "never told");
            // Not to wait for anything: the connection is asleep most of the time.
            sleep(short / 50).await;
        }
        ends_in_order(&mut client).await;
        let elapsed = begin.elapsed();
        assert!(elapsed >= short, "told after {elapsed:?}");
        assert!(notes.sleeps() > 0);
    })
    .await;
}

async fn a_drain_answers_who_wakes_up_and_tells_it_to_leave(site: Site) {
    in_time_of(&[LAME_DUCK; 3], site, |site, _, pace| async move {
        let (server, notes) = serve(&site);
        let mut client = asleep(&server, &notes).await;
        pace.rest();
        let ended = server.handle.shutdown(AMPLE);
        // The stage begins when the worker hears of it.
        loop {
            client.send(get("/")).await;
            pace.step();
            let response = client.response().await;
            assert_eq!(response.body, HELLO);
            if response.closes() {
                break;
            }
            notes.asleep().await;
        }
        ends_in_order(&mut client).await;
        assert_completed(ended.await.unwrap(), 1);
    })
    .await;
}

async fn a_drain_closes_a_sleeping_connection(site: Site) {
    let (server, notes) = serve(&site);
    let mut clients = [asleep(&server, &notes).await, asleep(&server, &notes).await];
    let begin = Instant::now();
    let ended = server.handle.shutdown(AMPLE);
    for client in &mut clients {
        ends_in_order(client).await;
    }
    assert_completed(ended.await.unwrap(), 2);
    let elapsed = begin.elapsed();
    assert!(
        (LAME_DUCK..AMPLE).contains(&elapsed),
        "not within the lame duck stage, and before the grace is over: {elapsed:?}"
    );
    server.settles(0).await;
}

/// It was read together with the request before it.
async fn a_drain_lets_half_a_pipelined_head_finish(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    let (begin, end) = ("GET /host HTTP/1.1\r\nHo", "st: test\r\n\r\n");
    client.send(format!("{}{begin}", get("/"))).await;
    assert_eq!(client.response().await.body, HELLO);
    let ended = server.handle.shutdown(AMPLE);
    server.refuses().await;
    client.send(end).await;
    let response = client.response().await;
    assert_eq!(response.body, "test");
    assert!(response.closes(), "{response:?}");
    ends_in_order(&mut client).await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn an_abort_closes_a_sleeping_connection(site: Site) {
    let (server, notes) = serve(&site);
    let mut client = asleep(&server, &notes).await;
    let report = server.handle.abort().await.unwrap();
    assert_eq!((report.completed, report.aborted), (0, 1));
    client.closed().await;
    server.settles(0).await;
}

async fn a_sleeping_connection_holds_its_permit(site: Site) {
    let limits = Limits::default().with_connections(1);
    let (server, notes) = serve_as(&site, |server| server.limits(limits));
    let mut first = asleep(&server, &notes).await;
    let waiting = {
        let (site, endpoint) = (site.clone(), server.endpoint().clone());
        tokio::spawn(async move {
            let mut client = Client::new(
                site.connect(&endpoint)
                    .await
                    .expect("connects, now or later"),
            );
            client.get("/host").await.body
        })
    };
    for _ in 0..50 {
        assert_eq!(first.get("/").await.body, HELLO);
        notes.asleep().await;
        assert_eq!(server.handle.connections(), 1);
        assert!(!waiting.is_finished(), "there was no permit for it");
    }
    drop(first);
    assert_eq!(waiting.await.unwrap(), "test");
    server.settles(0).await;
}
