//! Closing a connection whose peer may still be sending. A close with unread bytes resets the
//! connection, and the peer loses the response (RFC 9112 9.6).
use crate::{
    app::HELLO,
    client::{
        Client,
        h2_frames::{PING, PREFACE, SETTINGS_ACK, acknowledge_ping, next_frame},
        post,
    },
    harness::{
        any_subject::AnySubject,
        case::cases,
        retries::{ClientTimer, retry_if_late_with},
        test_server::TestServer,
    },
};
use bytes::BytesMut;
use std::time::{Duration, Instant};
use tokio::{io::AsyncReadExt, time::timeout};

cases![
    remaining_body_is_discarded_before_close needs LowLatency,
    remaining_garbage_is_discarded_before_close needs LowLatency,
    h2_frames_are_discarded_until_the_peer_closes,
    h2_frames_after_a_tunnel_are_discarded_until_the_peer_closes,
    peer_that_never_closes_is_closed_soon,
    lingering_connection_counts_as_completed,
];

const MIB: usize = 1024 * 1024;
/// Far longer than the server waits.
const AMPLE: Duration = Duration::from_secs(20);
/// The server stops waiting after this time without bytes. An attempt with a slower client proves
/// nothing.
const GAP: Duration = Duration::from_secs(2);
const GAPS: &[Duration] = &[GAP; 4];
/// Less than that time: the server has detected the close.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// Sends a mebibyte, and asserts that every write succeeds.
async fn send_after_close(client: &mut Client) {
    for _ in 0..16 {
        let sent = client.try_send([b'x'; MIB / 16]).await;
        sent.expect("expected the server to read on until the client closes");
    }
}

/// A client that receives its response, and the end of the connection, before it has sent its body.
async fn respond_early_and_close(client: &mut Client) {
    client.send(post("/", 2 * MIB)).await;
    assert_eq!(client.response().await.body, HELLO);
    client.assert_closed().await;
}

/// Asserts that the server detects at once that the client closes.
async fn assert_close_noticed_at_once(server: &TestServer, client: Client, timer: &ClientTimer) {
    server.wait_for_connections(1).await;
    timer.step();
    let begin = Instant::now();
    drop(client);
    server.wait_for_connections(0).await;
    timer.step();
    assert!(begin.elapsed() < AT_ONCE, "{:?}", begin.elapsed());
}

async fn remaining_body_is_discarded_before_close(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut client = server.client().await;
        respond_early_and_close(&mut client).await;
        timer.step();
        send_after_close(&mut client).await;
        timer.step();
        assert_close_noticed_at_once(&server, client, &timer).await;
    })
    .await;
}

/// The server responds once to garbage, however much follows.
async fn remaining_garbage_is_discarded_before_close(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut client = server.client().await;
        client.send("this is not HTTP\r\n\r\n").await;
        assert_eq!(client.response().await.status, 400);
        client.assert_closed().await;
        timer.step();
        send_after_close(&mut client).await;
        timer.step();
        assert_close_noticed_at_once(&server, client, &timer).await;
    })
    .await;
}

/// Reads until the server sends a frame of this type and these flags, or closes. Acknowledges its
/// PINGs.
async fn read_frames_until(client: &mut Client, got: &mut BytesMut, awaited: Option<[u8; 2]>) {
    loop {
        while let Some(frame) = next_frame(got) {
            acknowledge_ping(client, &frame).await;
            if awaited.is_some_and(|awaited| frame[3..5] == awaited) {
                return;
            }
        }
        if client.io.read_buf(got).await.unwrap() == 0 {
            assert_eq!(
                awaited, None,
                "the server closed before it sent the expected frame"
            );
            return;
        }
    }
}

/// A client for HTTP/2 that sends these frames, waits for a frame of that type and those flags, and
/// keeps sending after the shutdown.
async fn assert_frames_discarded(subject: AnySubject, request_frames: &[u8], expected: [u8; 2]) {
    let frames = [PREFACE, SETTINGS_ACK, request_frames].concat();
    retry_if_late_with(GAPS, subject, |subject, _, timer| {
        let frames = frames.clone();
        async move {
            let server = subject.serve();
            let (mut client, mut got) = (server.raw_h2().await, BytesMut::new());
            client.send(frames).await;
            read_frames_until(&mut client, &mut got, Some(expected)).await;
            let ended = server.handle.shutdown(AMPLE);
            read_frames_until(&mut client, &mut got, None).await;
            timer.restart();
            for _ in 0..100 {
                client
                    .try_send(PING)
                    .await
                    .expect("expected the server to read on until the client closes");
            }
            timer.step();
            assert_close_noticed_at_once(&server, client, &timer).await;
            assert_eq!(ended.await.unwrap().aborted, 0);
        }
    })
    .await;
}

async fn h2_frames_are_discarded_until_the_peer_closes(subject: AnySubject) {
    // SETTINGS of the server.
    assert_frames_discarded(subject, b"", [4, 0]).await;
}

/// RFC 8441: a tunnel is only a stream of the connection.
async fn h2_frames_after_a_tunnel_are_discarded_until_the_peer_closes(subject: AnySubject) {
    // Literals with names of HPACK's static table (RFC 7541 A), but for `:protocol`.
    let head = b"\x02\x07CONNECT\0\x09:protocol\x04echo\x86\x04\x07/tunnel\x01\x04test";
    let mut request_frames = vec![0, 0, u8::try_from(head.len()).unwrap(), 1, 4, 0, 0, 0, 1];
    request_frames.extend(head);
    // An empty DATA frame with END_STREAM.
    request_frames.extend(b"\0\0\0\0\x01\0\0\0\x01");
    assert_frames_discarded(subject, &request_frames, [0, 1]).await;
}

async fn peer_that_never_closes_is_closed_soon(subject: AnySubject) {
    let server = subject.serve();
    let mut client = server.client().await;
    let begin = Instant::now();
    respond_early_and_close(&mut client).await;
    let ended = timeout(AMPLE, server.wait_for_connections(0)).await;
    ended.expect("expected the server to close after its linger timeout");
    assert!(begin.elapsed() >= AT_ONCE, "{:?}", begin.elapsed());
}

async fn lingering_connection_counts_as_completed(subject: AnySubject) {
    retry_if_late_with(GAPS, subject, |subject, _, timer| async move {
        let server = subject.serve();
        let mut client = server.client().await;
        respond_early_and_close(&mut client).await;
        timer.restart();
        let ended = server.handle.shutdown(GAP / 4);
        let report = ended.await.unwrap();
        // The server may be late, too. Then the connection has ended before the drain.
        timer.step();
        assert_eq!((report.completed, report.aborted), (1, 0));
    })
    .await;
}
