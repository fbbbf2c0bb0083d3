//! A WebSocket in two tasks.
use crate::fixture::*;
use anyport_ws::{Config, Message};
use futures_util::{SinkExt, StreamExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tasks_send_and_receive_at_once() {
    let mut server = serve(
        Config::default().with_max_control_frames(u32::MAX),
        |socket| async move {
            let (mut sender, mut receiver) = socket.split();
            let sending = tokio::spawn(async move {
                // These messages exceed the room, so the sender waits.
                for n in 0..200_u8 {
                    sender.send(vec![n; 20_000].into()).await.unwrap();
                }
                sender.send("done".into()).await.unwrap();
                sender
            });
            let mut got = 0;
            while let Some(Ok(Message::Text(_))) = receiver.recv().await {
                got += 1;
            }
            assert_eq!(got, 500);
            sending.await.unwrap();
            None
        },
    );
    let (read, mut write) = tokio::io::split(server.open().await.0);
    let writing = tokio::spawn(async move {
        for n in 0..500 {
            let both = [frame(PING, format!("{n}")), frame(TEXT, "x")].concat();
            tokio::io::AsyncWriteExt::write_all(&mut write, &both)
                .await
                .unwrap();
        }
        write
    });
    // The pongs come between the messages, however both tasks wait.
    let mut peer = Peer(Box::new(tokio::io::join(read, tokio::io::sink())));
    let (mut binary, mut pongs, mut texts) = (0_u32, 0, 0);
    while texts == 0 || pongs < 500 {
        match peer.frame().await {
            (BINARY, payload) => {
                assert_eq!(payload, vec![binary as u8; 20_000]);
                binary += 1;
            }
            (PONG, payload) => {
                pongs = String::from_utf8(payload).unwrap().parse::<u32>().unwrap() + 1;
            }
            (TEXT, payload) => {
                assert_eq!(payload, b"done");
                texts += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((binary, texts), (200, 1));
    let mut write = writing.await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut write, &close(1000, ""))
        .await
        .unwrap();
    peer.expect_close(1000).await;
    assert!(server.end().await.is_none());
}

/// Uses only the traits of the futures crate.
#[tokio::test]
async fn web_socket_is_a_stream_and_a_sink() {
    let mut server = serve(Config::default(), |socket| async move {
        let (sink, stream) = StreamExt::split(socket);
        let data = stream.take_while(|message| {
            let goes_on = matches!(message, Ok(message) if message.is_data());
            async move { goes_on }
        });
        data.forward(sink).await.err()
    });
    let mut peer = server.open().await;
    for n in 0..10 {
        peer.send(frame(TEXT, format!("{n}"))).await;
        peer.expect(TEXT, format!("{n}")).await;
    }
    peer.send(close(1000, "")).await;
    peer.expect_close(1000).await;
    assert!(server.end().await.is_none());
    let mut server = serve(Config::default(), |mut socket| async move {
        SinkExt::send(&mut socket, "by the trait".into())
            .await
            .unwrap();
        SinkExt::close(&mut socket).await.err()
    });
    let mut peer = server.open().await;
    peer.expect(TEXT, "by the trait").await;
    peer.expect(CLOSE, "").await;
    peer.send(frame(CLOSE, "")).await;
    peer.expect_end().await;
    assert!(server.end().await.is_none());
}
