//! Upgraded connections on a thread other than their worker's: they work there, and end in order
//! when they are dropped there.
use crate::{
    app::{
        cross_thread::{Abroad, MUCH, PING},
        script::{Place, pattern},
    },
    cases::observer::Log,
    client::{
        Client,
        h2::{receive, send_all},
    },
    harness::{case::cases, running::Running, site::Site},
};
use anyport_core::{Limits, Timeouts};
use bytes::Bytes;
use std::{io, time::Duration};

cases![
    what_is_used_abroad_works,
    what_is_dropped_abroad_ends_cleanly,
    what_was_written_before_a_drop_abroad_arrives,
    what_its_peer_does_not_take_ends_some_time_after_a_drop_abroad,
    a_panic_abroad_ends_its_connection_alone,
    what_nobody_polls_abroad_is_in_nobodys_way,
    an_abort_is_told_abroad,
    many_at_once_abroad_leave_nothing,
    an_h2_tunnel_works_abroad,
    an_h2_tunnel_that_is_dropped_abroad_ends_alone,
];

/// A server that has room for one connection at a time: somebody new gets in when the last one has
/// been given back.
fn serve(site: &Site) -> (Running, Log) {
    let log = Log::default();
    let (limits, observer) = (Limits::default().with_connections(1), log.clone());
    let server = site.serve_as(|server| server.limits(limits).observer(observer));
    (server, log)
}

async fn upgraded(server: &Running, path: &str) -> Client {
    let mut client = server.client().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
    );
    client.send(request).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    client
}

/// What came of it on the other thread.
async fn outcome(server: &Running) -> Abroad {
    server.state.arrived().await;
    server.state.abroad().await
}

/// The client sees its connection's end, and so do the count, the limit and the observer; the
/// server goes on.
async fn ended(mut client: Client, server: &Running, log: &Log, nth: u32) {
    client.closed().await;
    server.settles(0).await;
    assert_eq!(log.upgraded(), (nth, Vec::new()));
    assert_eq!(server.client().await.get("/").await.status, 200);
    server.settles(0).await;
    log.assert_complete(2 * nth as usize);
}

async fn what_is_used_abroad_works(site: Site) {
    let (server, log) = serve(&site);
    for nth in 1..=3 {
        let mut client = upgraded(&server, "/used-abroad").await;
        client.send(PING).await;
        let outcome = outcome(&server).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        assert_eq!(client.exactly(PING.len()).await.unwrap(), PING);
        ended(client, &server, &log, nth).await;
    }
}

/// As it does at home.
async fn what_was_written_before_a_drop_abroad_arrives(site: Site) {
    let (server, log) = serve(&site);
    let mut client = upgraded(&server, "/written-abroad").await;
    // Slower than whoever writes, which is gone before the end.
    let all = client.exactly(MUCH).await.unwrap();
    assert!(all[..] == pattern(MUCH), "all bytes, in order");
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    ended(client, &server, &log, 1).await;
}

/// It counts no longer than `write_stall` from then on, although its peer is there.
async fn what_its_peer_does_not_take_ends_some_time_after_a_drop_abroad(site: Site) {
    let timeouts = Timeouts::default().with_write_stall(Duration::from_secs(1));
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let _client = upgraded(&server, "/stalled-abroad").await;
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    server.settles(0).await;
    server.serves_others().await;
}

async fn a_panic_abroad_ends_its_connection_alone(site: Site) {
    let (server, log) = serve(&site);
    let client = upgraded(&server, "/panics-abroad").await;
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    ended(client, &server, &log, 1).await;
}

/// Its client sends as much as anybody takes, and others are served as ever. In the end, the server
/// doesn't wait for it.
async fn what_nobody_polls_abroad_is_in_nobodys_way(site: Site) {
    let server = site.serve();
    let (mut write, _read) = upgraded(&server, "/kept-abroad").await.split();
    assert!(outcome(&server).await.iter().all(Result::is_ok));
    let sending =
        tokio::spawn(async move { while write.try_send([0; 64 * 1024]).await.is_ok() {} });
    for _ in 0..20 {
        server.serves_others().await;
    }
    server.settles(1).await;
    let report = server.handle.shutdown(Duration::ZERO).await.unwrap();
    assert_eq!((report.aborted, report.upgraded), (1, 1));
    drop(server.state.kept_abroad.lock().unwrap().take());
    sending.await.unwrap();
}

async fn an_abort_is_told_abroad(site: Site) {
    let server = site.serve();
    let mut client = upgraded(&server, "/waits-abroad").await;
    server.state.arrived().await;
    server.handle.abort().await.unwrap();
    for error in server.state.abroad().await.map(Result::unwrap_err) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
    }
    client.closed().await;
}

async fn many_at_once_abroad_leave_nothing(site: Site) {
    const MANY: usize = 500;
    let server = site.at(Place::Abroad).serve();
    let mut clients = Vec::new();
    for _ in 0..MANY {
        clients.push(upgraded(&server, "/upgrade").await);
    }
    for client in &mut clients {
        client.send(PING).await;
    }
    for client in &mut clients {
        assert_eq!(client.exactly(PING.len()).await.unwrap(), PING);
    }
    server.settles(MANY).await;
    drop(clients);
    server.settles(0).await;
    server.serves_others().await;
}

async fn what_is_dropped_abroad_ends_cleanly(site: Site) {
    let (server, log) = serve(&site);
    for nth in 1..=3 {
        let client = upgraded(&server, "/dropped-abroad").await;
        let outcome = outcome(&server).await;
        assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
        ended(client, &server, &log, nth).await;
    }
}

/// A stream of HTTP/2 isn't bound to a thread: its connection stays where it is.
async fn an_h2_tunnel_works_abroad(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (mut send, mut receiving) = h2.connect("/used-abroad").await.unwrap();
    send_all(&mut send, Bytes::from(PING), false).await.unwrap();
    assert_eq!(receive(&mut receiving).await.unwrap().unwrap(), PING);
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    assert_eq!(h2.get("/").await.status, 200, "the connection goes on");
}

async fn an_h2_tunnel_that_is_dropped_abroad_ends_alone(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (send, mut receiving) = h2.connect("/dropped-abroad").await.unwrap();
    let outcome = outcome(&server).await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    // An end or a reset: there's nothing more.
    assert!(!matches!(receive(&mut receiving).await, Ok(Some(_))));
    assert_eq!(h2.get("/").await.status, 200, "the connection goes on");
    drop((send, receiving));
    h2.connection.abort();
    server.settles(0).await;
}
