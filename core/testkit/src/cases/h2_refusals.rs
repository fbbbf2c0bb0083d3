//! HTTP/2 streams that are refused, malformed, reset, or sent during a drain: the other streams of
//! their connection continue.
use crate::{
    client::h2_peer::{End, code, head, kind},
    harness::{case::cases, site::Site},
};
use std::time::Duration;

cases![
    malformed_requests_cost_nobody_else_a_stream,
    streams_beyond_the_limit_are_refused_alone,
    frames_on_their_way_to_a_reset_stream_are_ignored,
    a_flood_of_streams_that_have_to_be_reset_ends_that_connection,
    a_drain_answers_the_streams_that_were_on_their_way,
    a_drain_takes_the_uploads_that_were_on_their_way,
];

/// The most that a window can grow by.
const LARGEST: u32 = (1 << 31) - 1;
/// As many streams as a connection may have at a time.
const AT_ONCE: usize = 100;
const AMPLE: Duration = Duration::from_secs(8);

/// With a header that HTTP/2 has no use for (RFC 9113 8.2.2).
fn malformed() -> Vec<u8> {
    let mut block = head("/");
    block.extend(b"\0\x0aconnection\x05close");
    block
}

/// As a proxy has them, whose clients are of all kinds.
async fn malformed_requests_cost_nobody_else_a_stream(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let waiting = peer.get(&head("/slow"), 10).await;
    for _ in 0..20 {
        let bad = peer.get(&malformed(), 30).await;
        let good = peer.get(&head("/"), 30).await;
        peer.answered(&good, 200).await;
        for stream in bad {
            assert!(matches!(peer.end(stream).await, Some(End::Reset(_))));
        }
    }
    waiting.iter().for_each(|_| server.state.release());
    peer.answered(&waiting, 200).await;
    peer.goes_on().await;
}

/// A client may open as many as it likes before it has read the server's SETTINGS; that some are
/// refused is no error of the connection (RFC 9113 5.1.2).
async fn streams_beyond_the_limit_are_refused_alone(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let streams = peer.get(&head("/slow"), 1_000).await;
    let (begun, refused) = streams.split_at(AT_ONCE);
    for stream in refused {
        assert_eq!(
            peer.end(*stream).await,
            Some(End::Reset(code::REFUSED_STREAM)),
            "{:?}",
            peer.goodbyes
        );
    }
    begun.iter().for_each(|_| server.state.release());
    peer.answered(begun, 200).await;
    peer.goes_on().await;
}

/// RFC 9113 5.1
async fn frames_on_their_way_to_a_reset_stream_are_ignored(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let streams = peer.post(&head("/error-body"), 20).await;
    for stream in &streams {
        assert!(matches!(peer.end(*stream).await, Some(End::Reset(_))));
    }
    for stream in &streams {
        assert!(peer.data(*stream, 400, false).await);
        peer.send(kind::WINDOW_UPDATE, 0, *stream, &1_u32.to_be_bytes());
        assert!(peer.data(*stream, 400, true).await);
        peer.send(kind::RST_STREAM, 0, *stream, &8_u32.to_be_bytes());
    }
    peer.goes_on().await;
}

/// "Made you reset", CVE-2025-8671: streams that are opened, and then broken, so that the server
/// has to reset them.
async fn a_flood_of_streams_that_have_to_be_reset_ends_that_connection(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let mut floods = 0;
    while peer.goodbyes.is_empty() {
        let streams = peer.post(&head("/forever"), AT_ONCE).await;
        for stream in &streams {
            // A window can't be as large as that (RFC 9113 6.9.1).
            peer.send(kind::WINDOW_UPDATE, 0, *stream, &LARGEST.to_be_bytes());
        }
        for stream in streams {
            if peer.end(stream).await.is_none() {
                break;
            }
            floods += 1;
        }
        assert!(floods < 10_000, "never ended");
    }
    assert!(
        peer.goodbyes
            .iter()
            .any(|(_, reason)| *reason == code::ENHANCE_YOUR_CALM)
    );
    drop(peer);
    server.serves_others().await;
    server.settles(0).await;
}

/// They left before their client had read that the connection is to end. It has read all that was
/// sent before, once it acknowledges the server's ping (RFC 9113 6.8).
async fn a_drain_answers_the_streams_that_were_on_their_way(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let waiting = peer.get(&head("/slow"), 10).await;
    for _ in &waiting {
        server.state.arrived().await;
    }
    let ended = server.handle.shutdown(AMPLE);
    while peer.pings.is_empty() {
        assert!(peer.take().await);
    }
    let late = peer.get(&head("/"), AT_ONCE / 2).await;
    peer.pong();
    peer.answered(&late, 200).await;
    waiting.iter().for_each(|_| server.state.release());
    peer.answered(&waiting, 200).await;
    while peer.take().await {}
    let last = *late.last().unwrap();
    assert!(
        peer.goodbyes
            .iter()
            .all(|(id, code)| *id >= last && *code == code::NO_ERROR),
        "{:?}",
        peer.goodbyes
    );
    drop(peer);
    assert_eq!(ended.await.unwrap().aborted, 0);
}

/// Some of them are answered early, some aren't; none of them is lost, whatever else comes.
async fn a_drain_takes_the_uploads_that_were_on_their_way(site: Site) {
    let server = site.serve();
    let mut peer = server.h2_peer().await;
    let (early, read) = (
        peer.post(&head("/"), AT_ONCE / 10).await,
        peer.post(&head("/slow-len"), AT_ONCE / 10).await,
    );
    peer.answered(&early, 200).await;
    let ended = server.handle.shutdown(AMPLE);
    while peer.pings.is_empty() {
        assert!(peer.take().await);
    }
    for stream in early.iter().chain(&read) {
        assert!(
            peer.data(*stream, 40_000, true).await,
            "{:?}",
            peer.goodbyes
        );
    }
    peer.pong();
    read.iter().for_each(|_| server.state.release());
    peer.answered(&read, 200).await;
    while peer.take().await {}
    assert!(
        peer.goodbyes
            .iter()
            .all(|(_, code)| *code == code::NO_ERROR)
    );
    drop(peer);
    assert_eq!(ended.await.unwrap().aborted, 0);
}
