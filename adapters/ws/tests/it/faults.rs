//! Peers that violate the protocol get a close with the right code, even if they go on sending.
//! Other peers are not affected.
use crate::fixture::*;
use anyport_ws::{Config, Error};
use std::time::Duration;

/// Asserts that the server closes with this code, and that the peer receives it although it goes on
/// sending.
async fn refused(server: &mut Server, code: u16, bytes: Vec<u8>) {
    let mut bystander = server.open().await;
    let mut peer = server.open().await;
    peer.send(&bytes).await;
    // More bytes than all buffers hold, so the server has to read them.
    let more = tokio::spawn(async move {
        let (read, mut write) = tokio::io::split(peer.0);
        for _ in 0..8 {
            if tokio::io::AsyncWriteExt::write_all(&mut write, &[0xff; 65_536])
                .await
                .is_err()
            {
                break;
            }
        }
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
        let mut peer = Peer(Box::new(read.unsplit(write)));
        // Valid messages before the violation have been answered.
        let payload = loop {
            match peer.frame().await {
                (CLOSE, payload) => break payload,
                (first, _) => assert_eq!(first, PONG),
            }
        };
        assert_eq!(payload[..2], code.to_be_bytes());
        peer.expect_end().await;
    });
    bystander.send(frame(TEXT, "here")).await;
    bystander.expect(TEXT, "here").await;
    more.await.unwrap();
    let error = server.end().await;
    assert!(
        matches!(error, Some(Error::Violation { code: told, .. }) if told == code),
        "{error:?}"
    );
    bystander.send(close(1000, "")).await;
    bystander.expect_close(1000).await;
    assert!(server.end().await.is_none());
}

#[tokio::test]
async fn violations_get_their_code() {
    let mut server = serve(Config::default().with_max_message(100_000), echo);
    let unmasked = b"\x81\x05hello".to_vec();
    let cases = [
        (1002, unmasked),
        (1002, frame(TEXT | RSV1, "compressed, unasked")),
        (1002, frame(0x83, "reserved")),
        (1002, frame(0x80, "continues nothing")),
        (1002, [frame(0x01, "a"), frame(TEXT, "b")].concat()),
        (1002, frame(0x09, "a ping that is not final")),
        (1002, frame(CLOSE, [3])),
        (1002, frame(CLOSE, [0, 0])),
        (1007, frame(TEXT, [0xff])),
        (1007, frame(CLOSE, [3, 0xe8, 0xff])),
        (1009, frame(BINARY, vec![0; 100_001])),
        (1008, frame(PING, "flood").repeat(300)),
        (1008, [frame(0x01, ""), frame(0, "").repeat(300)].concat()),
    ];
    for (code, bytes) in cases {
        refused(&mut server, code, bytes).await;
    }
}

/// A peer that does not end the connection.
#[tokio::test(start_paused = true)]
async fn connection_ends_even_if_the_violating_peer_stays() {
    let mut server = serve(
        Config::default().with_close_timeout(Duration::from_secs(3)),
        echo,
    );
    let mut peer = server.open().await;
    peer.send(frame(0x83, "")).await;
    peer.expect_close(1002).await;
    assert!(matches!(
        server.end().await,
        Some(Error::Violation { code: 1002, .. })
    ));
}

/// The peer sends as many pings as are allowed, second after second.
#[tokio::test(start_paused = true)]
async fn allowed_pings_are_answered() {
    let server = serve(Config::default().with_max_control_frames(10), echo);
    let mut peer = server.open().await;
    for _ in 0..10 {
        peer.send(frame(PING, "").repeat(10)).await;
        for _ in 0..10 {
            peer.expect(PONG, "").await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Pongs that the peer does not read do not accumulate. If there is no room, only the latest ping
/// is answered.
#[tokio::test]
async fn unread_pongs_do_not_accumulate() {
    let config = Config::default()
        .with_max_control_frames(u32::MAX)
        .with_max_write_buffer(1000)
        // The last pong waits for room only, not for a timer.
        .with_heartbeat(Duration::MAX);
    let server = serve(config, echo);
    let (read, mut write) = tokio::io::split(server.open().await.0);
    let sending = tokio::spawn(async move {
        for n in 0..20_000_u32 {
            let ping = frame(PING, [&[0; 121][..], &n.to_be_bytes()].concat());
            tokio::io::AsyncWriteExt::write_all(&mut write, &ping)
                .await
                .unwrap();
        }
        write
    });
    let write = sending.await.unwrap();
    let mut peer = Peer(Box::new(read.unsplit(write)));
    let mut answered = 0;
    loop {
        let (first, payload) = peer.frame().await;
        assert_eq!(first, PONG);
        answered += 1;
        if payload[121..] == 19_999_u32.to_be_bytes() {
            break;
        }
    }
    assert!(answered < 19_000, "{answered} of 20,000");
}
