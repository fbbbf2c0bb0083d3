//! Compressed messages.
use crate::fixture::*;
use anyport_ws::{Config, Deflate, Error};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

fn request(offer: &str) -> String {
    REQUEST.replace(
        "\r\n\r\n",
        &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"),
    )
}

fn deflate(context: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::with_capacity(message.len() + 1000);
    context
        .compress_vec(message, &mut deflated, FlushCompress::Sync)
        .unwrap();
    deflated.truncate(deflated.len() - 4);
    deflated
}

fn inflate(context: &mut Decompress, mut deflated: Vec<u8>, len: usize) -> Vec<u8> {
    deflated.extend([0, 0, 0xff, 0xff]);
    let mut message = Vec::with_capacity(len + 1000);
    context
        .decompress_vec(&deflated, &mut message, FlushDecompress::Sync)
        .unwrap();
    message
}

/// Sends many messages on two WebSockets in turn, with and without context takeover.
#[tokio::test]
async fn compressed_messages_are_echoed() {
    for keeps in [false, true] {
        let deflating = match keeps {
            true => Deflate::default().with_context_takeover(),
            false => Deflate::default(),
        };
        let server = serve(Config::default().with_deflate(deflating), echo);
        let mut peers = Vec::new();
        for _ in 0..2 {
            let (head, peer) = server
                .open_with(request("permessage-deflate; client_max_window_bits"))
                .await;
            assert_eq!(head.contains("no_context_takeover"), !keeps, "{head}");
            let contexts = (
                Compress::new(Compression::default(), false),
                Decompress::new(false),
            );
            peers.push((peer, contexts));
        }
        for n in 0..20_usize {
            let text: String = (0..200)
                .map(|i| format!("message {n} line {i}; "))
                .collect();
            for (peer, (compress, decompress)) in &mut peers {
                if !keeps {
                    compress.reset();
                    decompress.reset(false);
                }
                peer.send(frame(TEXT | RSV1, deflate(compress, text.as_bytes())))
                    .await;
                let (first, payload) = peer.frame().await;
                assert_eq!(first, TEXT | RSV1);
                assert!(payload.len() < text.len() / 2);
                assert!(inflate(decompress, payload, text.len()) == text.as_bytes());
                // A small message is not compressed.
                peer.send(frame(TEXT, "small")).await;
                peer.expect(TEXT, "small").await;
            }
        }
    }
}

#[tokio::test]
async fn message_that_inflates_beyond_the_limit_gets_1009() {
    let config = Config::default().with_deflate(Deflate::default());
    let mut server = serve(config, echo);
    let (_, mut peer) = server.open_with(request("permessage-deflate")).await;
    let bomb = deflate(
        &mut Compress::new(Compression::best(), false),
        &vec![0; 1_048_577],
    );
    assert!(bomb.len() < 2000);
    peer.send(frame(BINARY | RSV1, bomb)).await;
    peer.expect_close(1009).await;
    drop(peer);
    assert!(matches!(
        server.end().await,
        Some(Error::Violation { code: 1009, .. })
    ));
}

#[tokio::test]
async fn compression_offer_is_ignored_unless_enabled() {
    let server = serve(Config::default(), echo);
    let (head, _) = server.open_with(request("permessage-deflate")).await;
    assert!(
        !head.to_lowercase().contains("sec-websocket-extensions"),
        "{head}"
    );
}
