//! The end of a WebSocket: by either end, by a timeout, or by its handler.
use crate::fixture::*;
use anyport_ws::{CloseFrame, Config, Error, Message};
use std::{future::pending, time::Duration};
use tokio::time::Instant;

#[tokio::test]
async fn close_is_answered() {
    let mut server = serve(Config::default(), |mut socket| async move {
        let last = socket.recv().await.unwrap().unwrap();
        assert_eq!(last, Message::Close(Some(CloseFrame::new(3001, "enough"))));
        assert!(socket.recv().await.is_none());
        None
    });
    let mut peer = server.open().await;
    peer.send([close(3001, "enough"), frame(TEXT, "after it")].concat())
        .await;
    assert_eq!(peer.expect_close(3001).await, "enough");
    peer.expect_end().await;
    assert!(server.end().await.is_none());
}

#[tokio::test]
async fn app_closes_and_waits_for_the_peer() {
    let mut server = serve(Config::default(), |socket| async move {
        let reason = "水".repeat(100);
        socket
            .close(Some(CloseFrame::new(4000, reason)))
            .await
            .err()
    });
    let mut peer = server.open().await;
    assert_eq!(
        peer.expect_close(4000).await,
        "水".repeat(41),
        "no character is cut in two"
    );
    peer.send([frame(TEXT, "not read"), close(4000, "")].concat())
        .await;
    peer.expect_end().await;
    assert!(server.end().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn unanswered_close_times_out() {
    let config = Config::default().with_close_timeout(Duration::from_secs(7));
    let mut server = serve(
        config,
        |socket| async move { socket.close(None).await.err() },
    );
    let began = Instant::now();
    let mut peer = server.open().await;
    peer.expect(CLOSE, "").await;
    assert!(matches!(server.end().await, Some(Error::Timeout)));
    assert_eq!(began.elapsed().as_secs(), 7);
    peer.expect_end().await;
}

#[tokio::test]
async fn disconnect_without_a_close_is_an_error() {
    let mut server = serve(Config::default(), echo);
    drop(server.open().await);
    assert!(matches!(server.end().await, Some(Error::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn silent_peer_is_pinged_and_then_times_out() {
    let config = Config::default().with_heartbeat(Duration::from_secs(10));
    let mut server = serve(config, echo);
    let mut peer = server.open().await;
    for _ in 0..3 {
        peer.expect(PING, "").await;
        peer.send(frame(PONG, "")).await;
    }
    peer.expect(PING, "").await;
    let asked = Instant::now();
    assert!(matches!(server.end().await, Some(Error::Timeout)));
    assert_eq!(asked.elapsed().as_secs(), 10);
}

/// Any message counts as a sign of life.
#[tokio::test(start_paused = true)]
async fn active_peer_is_not_pinged() {
    let config = Config::default().with_heartbeat(Duration::from_secs(10));
    let server = serve(config, echo);
    let mut peer = server.open().await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        peer.send(frame(TEXT, "here")).await;
        peer.expect(TEXT, "here").await;
    }
}

/// An app that only sends also detects a peer that reads nothing.
#[tokio::test(start_paused = true)]
async fn peer_that_reads_nothing_times_out() {
    let config = Config::default().with_heartbeat(Duration::from_secs(10));
    let mut server = serve(config, |mut socket| async move {
        loop {
            if let Err(error) = socket.send(vec![0; 100_000].into()).await {
                return Some(error);
            }
        }
    });
    let _peer = server.open().await;
    assert!(matches!(server.end().await, Some(Error::Timeout)));
}

#[tokio::test]
async fn returning_handler_closes_the_web_socket() {
    let server = serve(Config::default(), |mut socket| async move {
        socket.feed("fed".into()).await.err()
    });
    let mut peer = server.open().await;
    peer.expect(TEXT, "fed").await;
    peer.expect_close(1000).await;
    peer.expect_end().await;
}

#[tokio::test]
async fn panicking_handler_closes_with_1011() {
    let server = serve(Config::default(), |socket| async move {
        let _socket = socket;
        let panics = true;
        assert!(!panics, "deliberate");
        pending().await
    });
    server.open().await.expect_close(1011).await;
}
