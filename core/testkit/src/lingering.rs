//! How a connection is closed whose peer may be sending still: a close that resets it would cost the peer what it hasn't read yet (RFC 9112 9.6).
use crate::{
    app::HELLO,
    client::{Client, post},
    h2_stall::{PING, PREFACE, SETTINGS_ACK, next_frame},
    running::Running,
    site::Site,
    suite::cases,
};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::{io::AsyncReadExt, time::timeout};

cases![
    the_rest_of_a_body_that_is_not_read_is_thrown_away,
    an_h2_peer_may_speak_until_it_has_heard_all,
    who_never_closes_is_not_waited_for_long,
];

const MIB: usize = 1024 * 1024;
/// Far longer than the server waits.
const AMPLE: Duration = Duration::from_secs(8);
/// Far sooner than a server gives up that waits for its peer.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Sends that much, and nothing of it is refused.
async fn goes_on_sending(client: &mut Client) {
    for _ in 0..16 {
        let sent = client.try_send([b'x'; MIB / 16]).await;
        sent.expect("the server takes it");
    }
}

/// A client that has been answered before it has sent its request's body, and told that the connection is closed.
async fn refused(client: &mut Client) {
    client.send(post("/", 2 * MIB)).await;
    assert_eq!(client.response().await.body, HELLO);
    client.closed().await;
}

/// The client closes its end, and with it the connection.
async fn leaves(server: &Running, client: Client) {
    server.settles(1).await;
    let begin = Instant::now();
    drop(client);
    server.settles(0).await;
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
}

async fn the_rest_of_a_body_that_is_not_read_is_thrown_away(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    refused(&mut client).await;
    goes_on_sending(&mut client).await;
    leaves(&server, client).await;
}

async fn an_h2_peer_may_speak_until_it_has_heard_all(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    client.send([PREFACE, SETTINGS_ACK].concat()).await;
    // The server's SETTINGS: both speak HTTP/2 now.
    let mut got = BytesMut::new();
    client.io.read_buf(&mut got).await.unwrap();
    let ended = server.handle.shutdown(AMPLE);
    while client.io.read_buf(&mut got).await.unwrap() > 0 {
        while let Some(mut frame) = next_frame(&mut got) {
            if frame[3..5] == [6, 0] {
                frame[4] = 1;
                client.send(frame).await;
            }
        }
    }
    for _ in 0..100 {
        client.try_send(PING).await.expect("the server takes it");
    }
    leaves(&server, client).await;
    assert_eq!(ended.await.unwrap().aborted, 0);
}

async fn who_never_closes_is_not_waited_for_long(site: Site) {
    let server = site.serve();
    let mut client = server.client().await;
    refused(&mut client).await;
    let ended = timeout(AMPLE, server.settles(0)).await;
    ended.expect("the server closes");
}
