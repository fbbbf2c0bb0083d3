//! The WebSocket: tungstenite over what hyper gives back after the upgrade, which needs no runtime.

use crate::empty;
use anyport_bench_child::workload::WEBSOCKET_BUFFER;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use std::pin::Pin;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::server::create_response_with_body,
        protocol::{Role, WebSocketConfig},
    },
};

/// What goes on after the upgrade.
pub type Conversation = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How the server's runtime spawns it.
pub type Spawn = fn(Conversation);

/// Agrees to it, and has all messages sent back; a request that's no handshake of RFC 6455 is a bad
/// one.
pub(crate) fn upgrade<B>(mut request: Request<B>, spawn: Spawn) -> Response<Full<Bytes>> {
    let Ok(response) = create_response_with_body(&request, Full::default) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let upgrade = hyper::upgrade::on(&mut request);
    spawn(Box::pin(async {
        // A peer that went away is no news.
        if let Ok(upgraded) = upgrade.await {
            echo(upgraded).await;
        }
    }));
    response
}

async fn echo(upgraded: Upgraded) {
    let config = WebSocketConfig::default().read_buffer_size(WEBSOCKET_BUFFER);
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        // tungstenite answers the others itself.
        let is_data = message.is_text() || message.is_binary();
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}
