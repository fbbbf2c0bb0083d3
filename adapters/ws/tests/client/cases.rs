//! Clients of this crate's server.
use crate::subject::{Client, Subject};
use anyport_ws::{
    ClientHandshake, CloseFrame, Config, Deflate, Error, HandshakeErrorKind, Message, close_code,
};
use futures_util::future::join;
use http::StatusCode;

pub(crate) async fn messages_of_every_size_are_echoed<S: Subject>(client: Client<S>) {
    let (mut sender, mut receiver) = client.echo().await.split();
    for len in [
        0,
        1,
        7,
        8,
        9,
        125,
        126,
        4096,
        4097,
        16_384,
        65_535,
        65_536,
        1 << 20,
    ] {
        let bytes: Vec<u8> = (0..len).map(|n: usize| (n * 7 % 251) as u8).collect();
        let text: String = "aß水🦀".chars().cycle().take(len / 4).collect();
        // The bytes have another owner, so the client must not mask them in place.
        let (binary, text) = (Message::binary(bytes.clone()), Message::text(text));
        let sending = async {
            sender.send(binary.clone()).await.unwrap();
            sender.send(text.clone()).await.unwrap();
            sender.send(Message::binary(bytes.clone())).await.unwrap();
        };
        let receiving = async {
            for expected in [&binary, &text, &binary] {
                let received = receiver.recv().await.unwrap().unwrap();
                assert!(received == *expected, "{len} bytes");
            }
        };
        join(sending, receiving).await;
        assert!(binary == Message::binary(bytes), "{len} bytes have changed");
    }
}

pub(crate) async fn compressed_messages_are_echoed<S: Subject>(client: Client<S>) {
    let deflate = Deflate::default().with_threshold(0);
    for deflate in [deflate, deflate.with_context_takeover()] {
        let config = Config::default().with_deflate(deflate);
        let handshake = client.handshake("/echo").with_config(config);
        let (mut socket, response) = client.open(handshake).await.unwrap();
        let extensions = &response.headers()["sec-websocket-extensions"];
        assert!(
            extensions
                .to_str()
                .unwrap()
                .starts_with("permessage-deflate")
        );
        for len in [0, 1, 100, 5000, 300_000] {
            let text = Message::text("all the same, ".repeat(len / 14 + 1));
            socket.send(text.clone()).await.unwrap();
            assert_eq!(socket.recv().await.unwrap().unwrap(), text);
        }
        socket.close(None).await.unwrap();
    }
}

pub(crate) async fn first_common_subprotocol_is_selected<S: Subject>(client: Client<S>) {
    for (offered, selected) in [
        (vec!["v0", "v1", "v2"], Some("v2")),
        (vec!["v1"], Some("v1")),
        (vec!["v0"], None),
        (vec![], None),
    ] {
        let config = Config::default().with_protocols(offered);
        let handshake = client.handshake("/echo").with_config(config);
        let (socket, _) = client.open(handshake).await.unwrap();
        assert_eq!(socket.protocol(), selected);
    }
}

pub(crate) async fn split_halves_work_in_turn<S: Subject>(client: Client<S>) {
    let (mut sender, mut receiver) = client.echo().await.split();
    let sending = async {
        for n in 0..400_u32 {
            let message = Message::binary(vec![n as u8; 50_000]);
            sender.send(message).await.unwrap();
        }
        // The server answers it. The client's `recv` does not return the pong.
        let ping = Message::Ping("still there?".into());
        sender.send(ping).await.unwrap();
        sender.send(Message::text("last")).await.unwrap();
    };
    // More bytes than all buffers hold, so the halves wait for each other.
    let receiving = async {
        for n in 0..400_u32 {
            let message = receiver.recv().await.unwrap().unwrap();
            assert!(message.into_data()[..] == [n as u8; 50_000], "message {n}");
        }
        let last = receiver.recv().await.unwrap().unwrap();
        assert_eq!(last, Message::text("last"));
    };
    join(sending, receiving).await;
    sender.send(Message::Close(None)).await.unwrap();
    assert!(receiver.recv().await.is_none());
}

pub(crate) async fn fed_messages_are_written_together<S: Subject>(client: Client<S>) {
    let mut socket = client.echo().await;
    for n in 0..100 {
        socket.feed(Message::text(format!("{n}"))).await.unwrap();
    }
    for n in 0..100 {
        let received = socket.recv().await.unwrap().unwrap();
        assert_eq!(received, Message::text(format!("{n}")));
    }
}

pub(crate) async fn close_of_the_client_is_answered<S: Subject>(client: Client<S>) {
    let socket = client.echo().await;
    socket
        .close(Some(CloseFrame::new(4000, "done")))
        .await
        .unwrap();
    // A drop sends a close, too: the server has no connection left in the end.
    drop(client.echo().await);
}

pub(crate) async fn close_of_the_server_is_received<S: Subject>(client: Client<S>) {
    let (mut socket, _) = client.open(client.handshake("/close")).await.unwrap();
    let received = socket.recv().await.unwrap().unwrap();
    let expected = CloseFrame::new(4001, "enough");
    assert_eq!(received, Message::Close(Some(expected)));
    assert!(socket.recv().await.is_none());
}

pub(crate) async fn too_large_message_is_a_violation<S: Subject>(client: Client<S>) {
    let config = Config::default().with_max_message(1000);
    let handshake = client.handshake("/echo").with_config(config);
    let (mut socket, _) = client.open(handshake).await.unwrap();
    socket.send(Message::binary(vec![1; 1000])).await.unwrap();
    assert_eq!(
        socket.recv().await.unwrap().unwrap().into_data().len(),
        1000
    );
    socket.send(Message::binary(vec![1; 1001])).await.unwrap();
    let error = socket.recv().await.unwrap().unwrap_err();
    let code = close_code::SIZE;
    assert!(
        matches!(error, Error::Violation { code: got, .. } if got == code),
        "{error}"
    );
}

pub(crate) async fn refusal_has_the_status_and_the_start_of_the_body<S: Subject>(
    client: Client<S>,
) {
    let error = client.open(client.handshake("/refuse")).await.unwrap_err();
    assert_eq!(error.kind(), HandshakeErrorKind::Refused);
    assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
    let body = error.response().unwrap().body();
    assert_eq!(body.len(), 4096);
    assert!(body.starts_with(b"no such room\n"));
    let text = error.to_string();
    let expected = "/refuse: the server answered 403 Forbidden: \"no such room\"";
    assert!(text.ends_with(expected), "{text}");
}

pub(crate) async fn wss_without_tls_is_refused<S: Subject>(client: Client<S>) {
    let opened = client.open(ClientHandshake::new("wss://localhost/").unwrap());
    match opened.await {
        Ok(_) => assert!(S::IS_TLS),
        Err(error) => {
            assert!(!S::IS_TLS);
            assert_eq!(error.kind(), HandshakeErrorKind::InvalidRequest);
        }
    }
}
