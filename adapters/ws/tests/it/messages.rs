//! Messages, pings, and the order and time of writes.
use crate::fixture::*;
use anyport_ws::{Config, Error, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn messages_of_all_sizes_are_echoed() {
    let server = serve(Config::default(), echo);
    for len in [
        0,
        1,
        125,
        126,
        4095,
        4096,
        4097,
        16_384,
        65_535,
        65_536,
        300_000,
        1 << 20,
    ] {
        let text: String = "aß水🦀".chars().cycle().take(len / 4).collect();
        let sent = [frame(TEXT, &text), frame(BINARY, vec![7; len])].concat();
        let (read, mut write) = tokio::io::split(server.open().await.0);
        let sending = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write
        });
        let mut peer = Peer(Box::new(tokio::io::join(read, tokio::io::sink())));
        peer.expect(TEXT, &text).await;
        peer.expect(BINARY, vec![7; len]).await;
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn bytes_behind_the_request_are_not_lost() {
    let server = serve(Config::default(), echo);
    let early = [
        REQUEST.as_bytes(),
        &frame(TEXT, "early"),
        &frame(TEXT, "la")[..5],
    ]
    .concat();
    let (_, mut peer) = server.open_with(early).await;
    peer.expect(TEXT, "early").await;
    peer.send(&frame(TEXT, "la")[5..]).await;
    peer.expect(TEXT, "la").await;
}

#[tokio::test]
async fn message_sent_byte_by_byte_is_echoed() {
    let server = serve(Config::default(), echo);
    let mut peer = server.open().await;
    let text = "z水".repeat(100);
    for byte in frame(TEXT, &text) {
        peer.send([byte]).await;
        tokio::task::yield_now().await;
    }
    peer.expect(TEXT, &text).await;
}

/// Pongs come in order, even between fragments, and before the answers to later messages.
#[tokio::test]
async fn pings_are_answered_in_order() {
    let server = serve(Config::default(), echo);
    let mut peer = server.open().await;
    let frames = [
        frame(PING, "1"),
        frame(0x01, "frag"),
        frame(PING, [b'2'; 125]),
        frame(0x80, "ment"),
        frame(PONG, "unasked"),
        frame(PING, "3"),
    ];
    peer.send(frames.concat()).await;
    peer.expect(PONG, "1").await;
    peer.expect(PONG, [b'2'; 125]).await;
    peer.expect(TEXT, "fragment").await;
    peer.expect(PONG, "3").await;
}

/// Queued messages are written together, when no further message can be received at once.
#[tokio::test]
async fn queued_messages_take_one_write() {
    let server = serve(Config::default(), |mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            socket.feed(message).await.unwrap();
        }
        None
    });
    let mut peer = server.open().await;
    let sent: Vec<u8> = (0..100)
        .flat_map(|n| frame(TEXT, format!("{n:03}")))
        .collect();
    peer.send(sent).await;
    let mut piece = vec![0; 4096];
    let n = peer.0.read(&mut piece).await.unwrap();
    assert_eq!(n, 100 * 5, "all of them at once");
}

#[tokio::test]
async fn messages_that_the_app_must_not_send_are_errors() {
    let server = serve(Config::default(), |mut socket| async move {
        let refused = socket.send(Message::Ping(vec![0; 126].into())).await;
        assert!(matches!(refused, Err(Error::ControlTooLong)));
        socket.send(Message::Ping("ok".into())).await.unwrap();
        socket.send(Message::Close(None)).await.unwrap();
        let refused = socket.send(Message::text("late")).await;
        assert!(matches!(refused, Err(Error::Closed)));
        assert!(socket.recv().await.is_none());
        assert!(socket.recv().await.is_none());
        None
    });
    let mut peer = server.open().await;
    peer.expect(PING, "ok").await;
    peer.expect(CLOSE, "").await;
    peer.send(
        [
            frame(TEXT, "thrown away"),
            frame(PING, "too"),
            frame(CLOSE, ""),
        ]
        .concat(),
    )
    .await;
    peer.expect_end().await;
}
