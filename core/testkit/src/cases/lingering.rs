//! The lingering close: a peer that is still sending must not lose what it has not read (RFC 9112
//! 9.6).
use crate::{
    app::HELLO,
    client::{
        Client,
        h2_frames::{PING, PREFACE, SETTINGS_ACK, acknowledge_ping, next_frame},
        post,
    },
    harness::{
        attempts::{Pace, in_time_of},
        case::cases,
        running::Running,
        site::Site,
    },
};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::{io::AsyncReadExt, time::timeout};

cases![
    the_rest_of_a_body_that_is_not_read_is_thrown_away,
    the_rest_of_what_cannot_be_read_is_thrown_away,
    an_h2_peer_may_speak_until_it_has_heard_all,
    an_h2_peer_that_had_a_tunnel_may_as_well,
    who_never_closes_is_not_waited_for_long,
    who_never_closes_has_been_served_nevertheless,
];

const MIB: usize = 1024 * 1024;
/// Far longer than the server waits.
const AMPLE: Duration = Duration::from_secs(20);
/// A server gives up that waits for its peer when nothing has come for so long: a client that's
/// slower proves nothing.
const QUIET: Duration = Duration::from_secs(2);
const QUIETS: &[Duration] = &[QUIET; 4];
/// Not only because the server has given up.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Sends that much, and nothing of it is refused.
async fn goes_on_sending(client: &mut Client) {
    for _ in 0..16 {
        let sent = client.try_send([b'x'; MIB / 16]).await;
        sent.expect("the server takes it");
    }
}

/// A client that has been answered before it has sent its request's body, and told that the
/// connection is closed.
async fn refused(client: &mut Client) {
    client.send(post("/", 2 * MIB)).await;
    assert_eq!(client.response().await.body, HELLO);
    client.closed().await;
}

/// The client closes its end, and with it the connection.
async fn leaves(server: &Running, client: Client, pace: &Pace) {
    server.settles(1).await;
    pace.step();
    let begin = Instant::now();
    drop(client);
    server.settles(0).await;
    pace.step();
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
}

async fn the_rest_of_a_body_that_is_not_read_is_thrown_away(site: Site) {
    in_time_of(QUIETS, site, |site, _, pace| async move {
        let server = site.serve();
        let mut client = server.client().await;
        refused(&mut client).await;
        pace.step();
        goes_on_sending(&mut client).await;
        pace.step();
        leaves(&server, client, &pace).await;
    })
    .await;
}

/// What's sent in answer to what the server can't read is no answer to more of it.
async fn the_rest_of_what_cannot_be_read_is_thrown_away(site: Site) {
    in_time_of(QUIETS, site, |site, _, pace| async move {
        let server = site.serve();
        let mut client = server.client().await;
        client.send("this is not HTTP\r\n\r\n").await;
        assert_eq!(client.response().await.status, 400);
        client.closed().await;
        pace.step();
        goes_on_sending(&mut client).await;
        pace.step();
        leaves(&server, client, &pace).await;
    })
    .await;
}

/// Reads until the server has sent a frame that begins so (type and flags), or has closed its end;
/// acknowledges its pings.
async fn listens(client: &mut Client, got: &mut BytesMut, until: Option<[u8; 2]>) {
    loop {
        while let Some(frame) = next_frame(got) {
            acknowledge_ping(client, &frame).await;
            if until.is_some_and(|until| frame[3..5] == until) {
                return;
            }
        }
        if client.io.read_buf(got).await.unwrap() == 0 {
            assert_eq!(until, None, "the server has closed before");
            return;
        }
    }
}

/// A client that speaks HTTP/2, asks this, and waits for a frame that begins so.
async fn speaks_after(site: Site, asks: &[u8], waits_for: [u8; 2]) {
    let said = [PREFACE, SETTINGS_ACK, asks].concat();
    in_time_of(QUIETS, site, |site, _, pace| {
        let said = said.clone();
        async move {
            let server = site.serve();
            let (mut client, mut got) = (server.raw_h2().await, BytesMut::new());
            client.send(said).await;
            listens(&mut client, &mut got, Some(waits_for)).await;
            let ended = server.handle.shutdown(AMPLE);
            listens(&mut client, &mut got, None).await;
            pace.rest();
            for _ in 0..100 {
                client.try_send(PING).await.expect("the server takes it");
            }
            pace.step();
            leaves(&server, client, &pace).await;
            assert_eq!(ended.await.unwrap().aborted, 0);
        }
    })
    .await;
}

async fn an_h2_peer_may_speak_until_it_has_heard_all(site: Site) {
    // The server's SETTINGS.
    speaks_after(site, b"", [4, 0]).await;
}

/// RFC 8441: what's been a tunnel, was no more than a stream.
async fn an_h2_peer_that_had_a_tunnel_may_as_well(site: Site) {
    // Each a literal, by the names of HPACK's static table (RFC 7541 A) but for `:protocol`.
    let head = b"\x02\x07CONNECT\0\x09:protocol\x04echo\x86\x04\x07/tunnel\x01\x04test";
    let mut asks = vec![0, 0, u8::try_from(head.len()).unwrap(), 1, 4, 0, 0, 0, 1];
    asks.extend(head);
    // An empty DATA with END_STREAM.
    asks.extend(b"\0\0\0\0\x01\0\0\0\x01");
    speaks_after(site, &asks, [0, 1]).await;
}

async fn who_never_closes_is_not_waited_for_long(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    let begin = Instant::now();
    refused(&mut client).await;
    let ended = timeout(AMPLE, server.settles(0)).await;
    ended.expect("the server closes");
    assert!(begin.elapsed() >= AT_ONCE, "{:?}", begin.elapsed());
}

async fn who_never_closes_has_been_served_nevertheless(site: Site) {
    in_time_of(QUIETS, site, |site, _, pace| async move {
        let server = site.serve();
        let mut client = server.client().await;
        refused(&mut client).await;
        pace.rest();
        let ended = server.handle.shutdown(QUIET / 4);
        pace.step();
        let report = ended.await.unwrap();
        assert_eq!((report.completed, report.aborted), (1, 0));
    })
    .await;
}
