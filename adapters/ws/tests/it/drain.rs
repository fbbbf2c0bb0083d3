//! A draining server closes its WebSockets with 1001.
use crate::fixture::*;
use anyport_ws::{CloseFrame, Config, Error, Message};
use std::{future::pending, time::Duration};

const AMPLE: Duration = Duration::from_secs(40);

#[tokio::test]
async fn idle_web_sockets_are_closed_with_1001_after_their_last_message() {
    let mut server = serve(
        Config::default().with_drain_reason("moving"),
        |mut socket| async move {
            socket.set_last_message(Message::text("goodbye"));
            echo(socket).await
        },
    );
    let mut peers = Vec::new();
    for _ in 0..50 {
        let mut peer = server.open().await;
        peer.send(frame(TEXT, "hi")).await;
        peer.expect(TEXT, "hi").await;
        peers.push(peer);
    }
    let drained = server.drain(AMPLE);
    for peer in &mut peers {
        peer.expect(TEXT, "goodbye").await;
        assert_eq!(peer.expect_close(1001).await, "moving");
        // A message that was in flight gets no response.
        peer.send([frame(TEXT, "late"), close(1001, "")].concat())
            .await;
        peer.expect_end().await;
    }
    for _ in 0..50 {
        assert!(server.end().await.is_none());
    }
    let report = drained.await.unwrap();
    assert_eq!(
        (report.completed, report.aborted, report.upgraded),
        (50, 0, 50),
        "{report}"
    );
}

/// The grace is the limit, not the close timeout, as the report shows.
#[tokio::test(start_paused = true)]
async fn web_socket_without_an_answer_is_aborted_and_reported() {
    let server = serve(Config::default(), echo);
    let mut peer = server.open().await;
    let drained = server.drain(Duration::from_secs(25));
    peer.expect_close(1001).await;
    let report = drained.await.unwrap();
    assert_eq!((report.completed, report.aborted), (0, 1), "{report}");
}

/// For a handler that only sends, the next `send` fails.
#[tokio::test]
async fn handler_that_only_sends_is_closed_too() {
    let mut server = serve(Config::default(), |mut socket| async move {
        let drain = socket.drain();
        socket.send("before".into()).await.unwrap();
        drain.await;
        let refused = socket.send("after".into()).await;
        assert!(matches!(refused, Err(Error::Closed)));
        socket.recv().await.and_then(Result::err)
    });
    let mut peer = server.open().await;
    peer.expect(TEXT, "before").await;
    let drained = server.drain(AMPLE);
    peer.expect_close(1001).await;
    peer.send(close(1001, "")).await;
    peer.expect_end().await;
    assert!(server.end().await.is_none());
    assert_eq!(drained.await.unwrap().aborted, 0);
}

#[tokio::test]
async fn app_may_close_by_itself_in_a_drain() {
    let server = serve(
        Config::default().without_drain_close(),
        |mut socket| async move {
            let drain = socket.drain();
            tokio::select! {
                _ = socket.recv() => pending().await,
                () = drain => {}
            }
            for n in 0..3 {
                socket.feed(format!("last {n}").into()).await.unwrap();
            }
            socket
                .close(Some(CloseFrame::new(1012, "back soon")))
                .await
                .err()
        },
    );
    let mut peer = server.open().await;
    let drained = server.drain(AMPLE);
    for n in 0..3 {
        peer.expect(TEXT, format!("last {n}")).await;
    }
    assert_eq!(peer.expect_close(1012).await, "back soon");
    peer.send(close(1012, "")).await;
    peer.expect_end().await;
    assert_eq!(drained.await.unwrap().aborted, 0);
}
