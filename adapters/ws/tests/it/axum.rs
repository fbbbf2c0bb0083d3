//! The extractor that replaces axum's own.
use crate::fixture::*;
use anyport_core::serve_with;
use anyport_memory::Memory;
use anyport_ws::{WebSocket, WebSocketUpgrade};
use axum::{Router, response::Response, routing::any};

async fn handler(upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade.protocols(["chat"]).max_message_size(1000);
    assert_eq!(upgrade.selected_protocol(), Some("chat"));
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            if message.is_data() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

fn request(path: &str) -> String {
    let request = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
    request.replace("GET / ", &format!("GET {path} "))
}

#[tokio::test]
async fn axum_handler_gets_a_web_socket() {
    let memory = Memory::new();
    let (connector, (_, ends)) = (memory.connector(), tokio::sync::mpsc::unbounded_channel());
    let router = Router::new().route("/", any(handler));
    let server = Server {
        handle: serve_with(memory, router).start().unwrap(),
        connector,
        ends,
    };
    let (head, mut peer) = server.open_with(request("/")).await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-protocol: chat"),
        "{head}"
    );
    peer.send(frame(TEXT, "hi")).await;
    peer.expect(TEXT, "hi").await;
    peer.send(frame(BINARY, [0; 1001])).await;
    peer.expect_close(1009).await;
    let (head, _) = server.open_with(request("/").replace("13", "12")).await;
    assert!(
        head.starts_with("HTTP/1.1 426 ") && head.contains("sec-websocket-version: 13"),
        "{head}"
    );
}
