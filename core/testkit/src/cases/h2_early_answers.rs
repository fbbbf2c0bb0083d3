//! HTTP/2 requests that are answered before their bodies have arrived: no other stream of the
//! connection fails.
use crate::{
    app::HELLO,
    client::{
        h2::{H2, request, send_all, whole},
        h2_peer::{End, LARGEST, OTHER, Peer, code, head},
    },
    harness::{case::cases, site::Site},
};
use anyport_core::Timeouts;
use http::Method;
use std::time::Duration;

cases![
    small_uploads_may_be_answered_before_they_have_come,
    large_uploads_may_be_answered_before_they_have_come,
    answers_of_the_server_s_own_come_early_too,
    a_body_that_is_dropped_elsewhere_is_read_to_its_end,
    the_rest_of_a_body_makes_room_for_others,
    a_peer_that_never_sends_the_rest_loses_its_stream,
    a_peer_that_sends_without_end_after_its_answer_is_cut_off,
];

/// As many streams as a connection may have at a time.
const AT_ONCE: usize = 100;
const SHORT: Duration = Duration::from_millis(300);

/// Uploads of this length: each has its whole answer before the first byte of its body leaves.
async fn answered_early(peer: &mut Peer, head: &[u8], status: u16, uploads: usize, length: usize) {
    // A server waits two seconds for the next bytes of a body, so a slow client isn't to have too
    // many of them in its hands.
    let at_once = AT_ONCE.min(1024 * 1024 / length);
    for batch in 0..uploads.div_ceil(at_once) {
        let streams = peer
            .post(head, at_once.min(uploads - batch * at_once))
            .await;
        peer.answered(&streams, status).await;
        for stream in streams {
            assert!(peer.data(stream, length, true).await, "{:?}", peer.goodbyes);
        }
    }
    peer.goes_on().await;
}

async fn small_uploads_may_be_answered_before_they_have_come(site: Site) {
    let server = site.serve();
    answered_early(&mut server.h2_peer().await, &head("/"), 200, 5_000, 400).await;
}

async fn large_uploads_may_be_answered_before_they_have_come(site: Site) {
    let server = site.serve();
    answered_early(&mut server.h2_peer().await, &head("/"), 200, 500, 64 * 1024).await;
}

/// Of a request whose app fails, or takes too long with the body in its hands.
async fn answers_of_the_server_s_own_come_early_too(site: Site) {
    let timeouts = Timeouts::default().with_request(SHORT);
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let mut peer = server.h2_peer().await;
    for (path, status) in [("/panic-call", 500), ("/panic", 500), ("/hold", OTHER)] {
        answered_early(&mut peer, &head(path), status, 300, 400).await;
    }
    // And of one whose hosts aren't the same (RFC 9113 8.3.1).
    let two_hosts = [&head("/")[..], b"\0\x04host\x05other"].concat();
    answered_early(&mut peer, &two_hosts, 400, 300, 400).await;
}

/// Another task of the app's had it, and went on with it after the answer.
async fn a_body_that_is_dropped_elsewhere_is_read_to_its_end(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    for _ in 0..5 {
        let streams = peer.post(&head("/background"), AT_ONCE).await;
        peer.answered(&streams, 200).await;
        for _ in &streams {
            server.state.release();
            server.state.dropped().await;
        }
        for stream in streams {
            assert!(peer.data(stream, 400, true).await);
        }
    }
    peer.goes_on().await;
}

/// More than the connection's window, of bodies that nobody reads; meanwhile somebody else's comes
/// through.
async fn the_rest_of_a_body_makes_room_for_others(site: Site) {
    let server = site.serve();
    let mut h2 = server.h2().await;
    let mut unread = Vec::new();
    for _ in 0..10 {
        let (response, send) = post(&mut h2, "/").await;
        assert_eq!(whole(response).await.unwrap().body, HELLO);
        unread.push(send);
    }
    for round in 0..2 {
        for send in &mut unread {
            let sent = send_all(send, vec![b'x'; 200_000].into(), round == 1).await;
            sent.expect("all of it is wanted");
        }
        let (response, mut send) = post(&mut h2, "/len").await;
        send_all(&mut send, vec![b'x'; 2_000_000].into(), true)
            .await
            .unwrap();
        assert_eq!(whole(response).await.unwrap().body, "2000000");
    }
    assert_eq!(h2.get("/").await.body, HELLO);
}

async fn post(
    h2: &mut H2,
    path: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>) {
    let mut post = request(path);
    *post.method_mut() = Method::POST;
    h2.begin(post, false).await.unwrap()
}

async fn a_peer_that_never_sends_the_rest_loses_its_stream(site: Site) {
    let timeouts = Timeouts::default().with_body_gap(SHORT);
    let server = site.serve_as(|server| server.timeouts(timeouts));
    let mut peer = server.h2_peer().await;
    let streams = peer.post(&head("/"), 3).await;
    peer.answered(&streams, 200).await;
    assert!(peer.data(streams[0], 400, false).await);
    for stream in &streams {
        // That nothing more is wanted is no error (RFC 9113 8.1).
        assert_eq!(peer.end(*stream).await, Some(End::Reset(code::NO_ERROR)));
    }
    // What comes even so is ignored (RFC 9113 5.1).
    assert!(peer.data(streams[1], 400, true).await);
    peer.goes_on().await;
}

async fn a_peer_that_sends_without_end_after_its_answer_is_cut_off(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let stream = peer.post(&head("/"), 1).await[0];
    peer.answered(&[stream], 200).await;
    let mut sent = 0;
    while !peer.has_ended(stream) {
        assert!(peer.data(stream, LARGEST, false).await);
        sent += LARGEST;
        assert!(sent < 64 * 1024 * 1024, "never cut off");
    }
    assert_eq!(peer.end(stream).await, Some(End::Reset(code::NO_ERROR)));
    peer.goes_on().await;
}
