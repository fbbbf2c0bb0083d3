//! Valid and invalid handshakes over HTTP/1.1.
use crate::fixture::*;
use anyport_ws::Config;

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

#[tokio::test]
async fn example_of_the_rfc_is_accepted() {
    let server = serve(Config::default(), echo);
    let (head, mut peer) = server.open_with(REQUEST).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(
        header(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(header(&head, "upgrade"), Some("websocket"));
    assert_eq!(header(&head, "connection"), Some("upgrade"));
    assert_eq!(header(&head, "sec-websocket-protocol"), None);
    peer.send(frame(TEXT, "hi")).await;
    peer.expect(TEXT, "hi").await;
}

#[tokio::test]
async fn invalid_handshakes_are_refused() {
    let server = serve(
        Config::default().with_origin_check(|origin| origin == "https://good"),
        echo,
    );
    let replaced = |old: &str, new: &str| {
        assert!(REQUEST.contains(old));
        REQUEST.replace(old, new)
    };
    let with = |more: &str| replaced("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    for (status, request) in [
        (101, with("Origin: https://good")),
        (101, with("Upgrade: h2c")),
        (
            101,
            replaced("Upgrade: websocket", "Upgrade: h2c, WebSocket"),
        ),
        (101, with("Content-Length: 0")),
        (403, with("Origin: https://bad")),
        (405, replaced("GET", "POST")),
        (426, replaced("Upgrade: websocket\r\n", "")),
        (426, replaced("Upgrade: websocket", "Upgrade: websockets")),
        (426, replaced("keep-alive, Upgrade", "keep-alive")),
        (426, replaced("Version: 13", "Version: 8")),
        (426, replaced("Sec-WebSocket-Version: 13\r\n", "")),
        (426, with("Sec-WebSocket-Version: 13")),
        (400, replaced(KEY, "")),
        (400, with(KEY.trim_end())),
        (400, replaced("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")),
        (
            400,
            replaced("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ="),
        ),
        (
            400,
            replaced("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j!Q=="),
        ),
        (400, with("Content-Length: 5") + "hello"),
        (400, with("Transfer-Encoding: chunked") + "0\r\n\r\n"),
    ] {
        let (head, _) = server.open_with(&request).await;
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}\n{head}"
        );
        if status == 426 {
            assert_eq!(
                header(&head, "upgrade"),
                Some("websocket"),
                "RFC 9110 15.5.22"
            );
        }
        if request.contains("Version: 8") {
            assert_eq!(
                header(&head, "sec-websocket-version"),
                Some("13"),
                "RFC 6455 4.4"
            );
        }
    }
}

#[tokio::test]
async fn first_common_subprotocol_is_selected() {
    let server = serve(
        Config::default().with_protocols(["v2", "v1"]),
        |mut socket| async move {
            let protocol = socket.protocol().unwrap_or("none").to_owned();
            socket.send(protocol.into()).await.err()
        },
    );
    for (offer, expected) in [("v1", Some("v1")), ("v0, v1,v2", Some("v2")), ("v3", None)] {
        let request = REQUEST.replace(
            "\r\n\r\n",
            &format!("\r\nSec-WebSocket-Protocol: {offer}\r\n\r\n"),
        );
        let (head, mut peer) = server.open_with(request).await;
        assert_eq!(header(&head, "sec-websocket-protocol"), expected, "{offer}");
        peer.expect(TEXT, expected.unwrap_or("none")).await;
    }
}
