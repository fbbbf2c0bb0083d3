//! HTTP/2 requests that get their response before their body arrives. Frames in flight then affect
//! no other stream.
use crate::{
    app::HELLO,
    client::{
        h2::{H2, request, send_all, whole},
        h2_peer::{End, LARGEST, OTHER_STATUS, Peer, code, head},
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        retries::{ClientTimer, retry_if_late_with},
    },
};
use anyport_core::Timeouts;
use http::Method;
use std::time::Duration;

cases![
    small_uploads_answered_early_keep_the_connection,
    large_uploads_answered_early_keep_the_connection needs LowLatency,
    early_error_responses_keep_the_connection,
    body_dropped_by_another_task_is_drained,
    unread_bodies_leave_window_for_other_streams needs LowLatency,
    stalled_upload_after_response_resets_its_stream,
    endless_upload_after_response_resets_its_stream needs LowLatency,
];

/// The limit of concurrent streams of a connection.
const AT_ONCE: usize = 100;
const SHORT: Duration = Duration::from_millis(300);

/// How long a server waits for the next bytes of a body. An attempt with a slower client proves
/// nothing.
const GAPS: &[Duration] = &[Duration::from_secs(2); 4];

/// Uploads of this length. Each gets its whole response before the first byte of its body is sent.
async fn answered_early(
    peer: &mut Peer,
    timer: &ClientTimer,
    head: &[u8],
    status: u16,
    uploads: usize,
    length: usize,
) {
    // A slow client must not have too many streams open.
    let at_once = (AT_ONCE / 5).min(256 * 1024 / length);
    for batch in 0..uploads.div_ceil(at_once) {
        let streams = peer
            .post(head, at_once.min(uploads - batch * at_once))
            .await;
        peer.assert_answered(&streams, status).await;
        for stream in streams {
            assert!(peer.data(stream, length, true).await, "{:?}", peer.goaways);
        }
        timer.step();
    }
    peer.assert_usable().await;
}

async fn small_uploads_answered_early_keep_the_connection(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut peer = server.h2_peer().await;
        timer.restart();
        answered_early(&mut peer, &timer, &head("/"), 200, 5_000, 400).await;
    })
    .await;
}

async fn large_uploads_answered_early_keep_the_connection(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut peer = server.h2_peer().await;
        timer.restart();
        answered_early(&mut peer, &timer, &head("/"), 200, 500, 64 * 1024).await;
    })
    .await;
}

/// The app fails, or exceeds its time while it holds the body.
async fn early_error_responses_keep_the_connection(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let timeouts = Timeouts::default().with_request(SHORT);
        let server = subject.serve_configured(|server| server.timeouts(timeouts));
        let mut peer = server.h2_peer().await;
        timer.restart();
        for (path, status) in [
            ("/panic-call", 500),
            ("/panic", 500),
            ("/hold", OTHER_STATUS),
        ] {
            answered_early(&mut peer, &timer, &head(path), status, 300, 400).await;
        }
        // `:authority` and `Host` differ (RFC 9113 8.3.1).
        let two_hosts = [&head("/")[..], b"\0\x04host\x05other"].concat();
        answered_early(&mut peer, &timer, &two_hosts, 400, 300, 400).await;
    })
    .await;
}

/// Another task of the app holds the body, and drops it after the response.
async fn body_dropped_by_another_task_is_drained(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut peer = server.h2_peer().await;
        timer.restart();
        // A slow client must not have too many streams open.
        for _ in 0..25 {
            let streams = peer.post(&head("/background"), AT_ONCE / 5).await;
            peer.assert_answered(&streams, 200).await;
            for _ in &streams {
                server.state.release();
                server.state.dropped().await;
            }
            for stream in streams {
                assert!(peer.data(stream, 400, true).await);
            }
            timer.step();
        }
        peer.assert_usable().await;
    })
    .await;
}

/// Unread bodies that exceed the connection's window; another upload succeeds in between.
async fn unread_bodies_leave_window_for_other_streams(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut h2 = server.h2().await;
        timer.restart();
        let mut unread = Vec::new();
        for _ in 0..10 {
            let (response, send) = post(&mut h2, "/").await;
            assert_eq!(whole(response).await.unwrap().body, HELLO);
            unread.push(send);
        }
        for round in 0..2 {
            for send in &mut unread {
                let sent = send_all(send, vec![b'x'; 200_000].into(), round == 1).await;
                sent.expect("expected the server to read the whole body");
            }
            // No body has waited for longer.
            timer.step();
            let (response, mut send) = post(&mut h2, "/len").await;
            send_all(&mut send, vec![b'x'; 2_000_000].into(), true)
                .await
                .unwrap();
            assert_eq!(whole(response).await.unwrap().body, "2000000");
        }
        assert_eq!(h2.get("/").await.body, HELLO);
    })
    .await;
}

async fn post(
    h2: &mut H2,
    path: &str,
) -> (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>) {
    let mut post = request(path);
    *post.method_mut() = Method::POST;
    h2.begin(post, false).await.unwrap()
}

async fn stalled_upload_after_response_resets_its_stream(subject: AnySubject) {
    let timeouts = Timeouts::default().with_body_gap(SHORT);
    let server = subject.serve_configured(|server| server.timeouts(timeouts));
    let mut peer = server.h2_peer().await;
    let streams = peer.post(&head("/"), 3).await;
    peer.assert_answered(&streams, 200).await;
    assert!(peer.data(streams[0], 400, false).await);
    for stream in &streams {
        // NO_ERROR: the remaining request is not wanted (RFC 9113 8.1).
        assert_eq!(
            peer.stream_end(*stream).await,
            Some(End::Reset(code::NO_ERROR))
        );
    }
    // Later frames of the stream are ignored (RFC 9113 5.1).
    assert!(peer.data(streams[1], 400, true).await);
    peer.assert_usable().await;
}

async fn endless_upload_after_response_resets_its_stream(subject: AnySubject) {
    let server = subject.serve();
    let mut peer = server.h2_peer().await;
    let stream = peer.post(&head("/"), 1).await[0];
    peer.assert_answered(&[stream], 200).await;
    let mut sent = 0;
    while !peer.has_ended(stream) {
        assert!(peer.data(stream, LARGEST, false).await);
        sent += LARGEST;
        assert!(
            sent < 64 * 1024 * 1024,
            "expected a reset of the stream, still open after {sent} bytes"
        );
    }
    assert_eq!(
        peer.stream_end(stream).await,
        Some(End::Reset(code::NO_ERROR))
    );
    peer.assert_usable().await;
}
