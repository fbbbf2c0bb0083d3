//! The workloads, by axum's own extractors and responses.

use anyport_bench_child::{
    Workload,
    workload::{
        DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, PLAINTEXT, UPLOAD_1M, WEBSOCKET, WEBSOCKET_BUFFER,
    },
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{WebSocketUpgrade, ws::WebSocket},
    response::Response,
    routing::{get, post},
};
use serde::Serialize;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

pub(crate) fn router() -> Router {
    let file_64k = Bytes::from(Workload::Download64K.response_body());
    let file_1m = Bytes::from(Workload::Download1M.response_body());
    Router::new()
        .route(PLAINTEXT, get(|| async { HELLO }))
        .route(JSON, get(|| async { Json(Message { message: HELLO }) }))
        .route(ECHO, post(|body: Bytes| async { body }))
        .route(DOWNLOAD_64K, get(|| async { file_64k }))
        .route(DOWNLOAD_1M, get(|| async { file_1m }))
        .route(
            UPLOAD_1M,
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(WEBSOCKET, get(websocket))
}

async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.read_buffer_size(WEBSOCKET_BUFFER).on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}
