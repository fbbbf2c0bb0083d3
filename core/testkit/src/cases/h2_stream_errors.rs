//! HTTP/2 streams that are refused, malformed, reset, or in flight during a drain. Other streams of
//! the connection continue.
use crate::{
    client::h2_peer::{End, code, head, kind},
    harness::{any_subject::AnySubject, case::cases},
};
use std::time::Duration;

cases![
    malformed_requests_reset_only_their_streams,
    streams_over_the_limit_are_refused_without_goaway,
    frames_for_a_reset_stream_are_ignored,
    forced_reset_flood_closes_the_connection,
    drain_answers_streams_in_flight,
    drain_accepts_uploads_in_flight needs LowLatency,
];

/// The largest window increment.
const LARGEST: u32 = (1 << 31) - 1;
/// The limit of concurrent streams of a connection.
const AT_ONCE: usize = 100;
const AMPLE: Duration = Duration::from_secs(40);

/// A request with a connection-specific header (RFC 9113 8.2.2).
fn malformed() -> Vec<u8> {
    let mut block = head("/");
    block.extend(b"\0\x0aconnection\x05close");
    block
}

/// A proxy sends the requests of many clients on one connection, malformed ones among them.
async fn malformed_requests_reset_only_their_streams(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let waiting = peer.get(&head("/slow"), 10).await;
    for _ in 0..20 {
        let bad = peer.get(&malformed(), 30).await;
        let good = peer.get(&head("/"), 30).await;
        peer.assert_answered(&good, 200).await;
        for stream in bad {
            assert!(matches!(peer.stream_end(stream).await, Some(End::Reset(_))));
        }
    }
    waiting.iter().for_each(|_| server.state.release());
    peer.assert_answered(&waiting, 200).await;
    peer.assert_usable().await;
}

/// A client may open any number of streams before it has read the server's SETTINGS. Refusing some
/// is not a connection error (RFC 9113 5.1.2).
async fn streams_over_the_limit_are_refused_without_goaway(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let streams = peer.get(&head("/slow"), 1_000).await;
    let (begun, refused) = streams.split_at(AT_ONCE);
    for stream in refused {
        assert_eq!(
            peer.stream_end(*stream).await,
            Some(End::Reset(code::REFUSED_STREAM)),
            "{:?}",
            peer.goaways
        );
    }
    begun.iter().for_each(|_| server.state.release());
    peer.assert_answered(begun, 200).await;
    peer.assert_usable().await;
}

/// RFC 9113 5.1
async fn frames_for_a_reset_stream_are_ignored(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let streams = peer.post(&head("/error-body"), 20).await;
    for stream in &streams {
        assert!(matches!(
            peer.stream_end(*stream).await,
            Some(End::Reset(_))
        ));
    }
    for stream in &streams {
        assert!(peer.data(*stream, 400, false).await);
        peer.send(kind::WINDOW_UPDATE, 0, *stream, &1_u32.to_be_bytes());
        assert!(peer.data(*stream, 400, true).await);
        peer.send(kind::RST_STREAM, 0, *stream, &8_u32.to_be_bytes());
    }
    peer.assert_usable().await;
}

/// "Made you reset", CVE-2025-8671: streams with a protocol error, which the server must reset.
async fn forced_reset_flood_closes_the_connection(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let mut floods = 0;
    while peer.goaways.is_empty() {
        let streams = peer.post(&head("/forever"), AT_ONCE).await;
        for stream in &streams {
            // A window cannot be that large (RFC 9113 6.9.1).
            peer.send(kind::WINDOW_UPDATE, 0, *stream, &LARGEST.to_be_bytes());
        }
        for stream in streams {
            if peer.stream_end(stream).await.is_none() {
                break;
            }
            floods += 1;
        }
        assert!(
            floods < 10_000,
            "expected GOAWAY, got none after {floods} forced resets"
        );
    }
    assert!(
        peer.goaways
            .iter()
            .any(|(_, reason)| *reason == code::ENHANCE_YOUR_CALM)
    );
    drop(peer);
    server.assert_serves_new_clients().await;
    server.wait_for_connections(0).await;
}

/// The requests were sent before the client read the GOAWAY. Once the client acknowledges the
/// server's PING, the server has read them all (RFC 9113 6.8).
async fn drain_answers_streams_in_flight(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let waiting = peer.get(&head("/slow"), 10).await;
    for _ in &waiting {
        server.state.arrived().await;
    }
    let ended = server.handle.shutdown(AMPLE);
    while peer.pings.is_empty() {
        assert!(peer.read_frame().await);
    }
    let late = peer.get(&head("/"), AT_ONCE / 2).await;
    peer.ack_pings();
    peer.assert_answered(&late, 200).await;
    waiting.iter().for_each(|_| server.state.release());
    peer.assert_answered(&waiting, 200).await;
    while peer.read_frame().await {}
    let last = *late.last().unwrap();
    assert!(
        peer.goaways
            .iter()
            .all(|(id, code)| *id >= last && *code == code::NO_ERROR),
        "{:?}",
        peer.goaways
    );
    drop(peer);
    assert_eq!(ended.await.unwrap().aborted, 0);
}

/// Some uploads get early responses, some do not. All are processed.
async fn drain_accepts_uploads_in_flight(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let (early, read) = (
        peer.post(&head("/"), AT_ONCE / 10).await,
        peer.post(&head("/slow-len"), AT_ONCE / 10).await,
    );
    peer.assert_answered(&early, 200).await;
    let ended = server.handle.shutdown(AMPLE);
    while peer.pings.is_empty() {
        assert!(peer.read_frame().await);
    }
    for stream in early.iter().chain(&read) {
        assert!(peer.data(*stream, 40_000, true).await, "{:?}", peer.goaways);
    }
    peer.ack_pings();
    read.iter().for_each(|_| server.state.release());
    peer.assert_answered(&read, 200).await;
    while peer.read_frame().await {}
    assert!(peer.goaways.iter().all(|(_, code)| *code == code::NO_ERROR));
    drop(peer);
    assert_eq!(ended.await.unwrap().aborted, 0);
}
