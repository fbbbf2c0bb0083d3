//! Upgraded connections that the app takes to a thread which isn't their worker's: they're used there, or that's an error; and dropped there, they end as anywhere else.
use crate::{
    Capability,
    client::Client,
    h2_client::{receive, send_all},
    observer::Log,
    running::Running,
    site::Site,
    suite::cases,
};
use anyport_core::Limits;
use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
};

cases![
    what_is_used_abroad_works_or_says_why_not,
    what_is_dropped_abroad_ends_cleanly,
    an_h2_tunnel_works_abroad,
    an_h2_tunnel_that_is_dropped_abroad_ends_alone,
];

const PING: &str = "ping";

/// What came of a connection on another thread: of reading, and of writing.
pub(crate) type Abroad = [io::Result<()>; 2];

/// Sends so much back as [`PING`] is, by a thread that is no worker. Then it's dropped there.
pub(crate) fn echo(upgraded: Upgraded) -> Abroad {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut io = TokioIo::new(upgraded);
        let mut ping = [0; PING.len()];
        let read = io.read_exact(&mut ping).await.map(drop);
        let written = match io.write_all(&ping).await {
            Ok(()) => io.flush().await,
            failed => failed,
        };
        [read, written]
    })
}

/// Only drops it there.
pub(crate) fn leave(upgraded: Upgraded) -> Abroad {
    drop(upgraded);
    [Ok(()), Ok(())]
}

/// A server that has room for one connection at a time: somebody new gets in when the last one has been given back.
fn serve(site: &Site) -> (Running, Log) {
    let log = Log::default();
    let (limits, observer) = (Limits::default().with_connections(1), log.clone());
    let server = site.serve_as(|server| server.limits(limits).observer(observer));
    (server, log)
}

async fn upgraded(server: &Running, path: &str) -> Client {
    let mut client = server.client().await;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    client.send(request).await;
    assert_eq!(client.head().await.unwrap().status, 101);
    client
}

/// The client sees its connection's end, and so do the count, the limit and the observer; the server goes on.
async fn ended(mut client: Client, server: &Running, log: &Log, nth: u32) {
    client.closed().await;
    server.settles(0).await;
    assert_eq!(log.upgraded(), (nth, Vec::new()));
    assert_eq!(server.client().await.get("/").await.status, 200);
    server.settles(0).await;
    log.assert_complete(2 * nth as usize);
}

async fn what_is_used_abroad_works_or_says_why_not(site: Site) {
    let (server, log) = serve(&site);
    for nth in 1..=3 {
        let mut client = upgraded(&server, "/used-abroad").await;
        client.send(PING).await;
        let outcome = server.state.abroad().await;
        if site.capabilities().have(Capability::AnyThread) {
            assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
            assert_eq!(client.exactly(PING.len()).await.unwrap(), PING);
        } else {
            for error in outcome.map(Result::unwrap_err) {
                assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
                assert!(
                    error.to_string().contains("belongs to another thread"),
                    "it says why: {error}"
                );
            }
        }
        ended(client, &server, &log, nth).await;
    }
}

async fn what_is_dropped_abroad_ends_cleanly(site: Site) {
    let (server, log) = serve(&site);
    for nth in 1..=3 {
        let client = upgraded(&server, "/dropped-abroad").await;
        let outcome = server.state.abroad().await;
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
    let outcome = server.state.abroad().await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    assert_eq!(h2.get("/").await.status, 200, "the connection goes on");
}

async fn an_h2_tunnel_that_is_dropped_abroad_ends_alone(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let (send, mut receiving) = h2.connect("/dropped-abroad").await.unwrap();
    let outcome = server.state.abroad().await;
    assert!(outcome.iter().all(Result::is_ok), "{outcome:?}");
    // An end or a reset: there's nothing more.
    assert!(!matches!(receive(&mut receiving).await, Ok(Some(_))));
    assert_eq!(h2.get("/").await.status, 200, "the connection goes on");
    drop((send, receiving));
    h2.connection.abort();
    server.settles(0).await;
}
