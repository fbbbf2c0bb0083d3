//! The workloads, by trillium's own router, bodies and WebSockets.

use anyport_bench_child::{
    Workload,
    workload::{
        DISCARD, DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, LARGEST_UPLOAD, PLAINTEXT, UPLOAD,
        WEBSOCKET,
    },
};
use futures_util::{AsyncReadExt as _, StreamExt as _};
use serde::Serialize;
use std::sync::Arc;
use trillium::{Conn, Handler, KnownHeaderName, Status};
use trillium_router::Router;
use trillium_websockets::{WebSocketConfig, WebSocketConn, websocket};

const TEXT: &str = "text/plain; charset=utf-8";
/// Not tungstenite's default, which is 128 KiB, but the same as axum's.
const WEBSOCKET_BUFFER: usize = 4096;
const BYTES: &str = "application/octet-stream";

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

pub(crate) fn app() -> impl Handler {
    let router = Router::new()
        .get(PLAINTEXT, async |conn: Conn| of(conn, TEXT, HELLO))
        .get(JSON, json)
        .post(ECHO, echo)
        .get(DOWNLOAD_64K, download(Workload::Download64K))
        .get(DOWNLOAD_1M, download(Workload::Download1M))
        .post(UPLOAD, upload)
        .post(DISCARD, discard)
        .get(
            WEBSOCKET,
            websocket(converse).with_protocol_config(
                WebSocketConfig::default().read_buffer_size(WEBSOCKET_BUFFER),
            ),
        );
    (nameless, router)
}

/// The server's name is a header that the others do not send.
async fn nameless(mut conn: Conn) -> Conn {
    conn.response_headers_mut().remove(KnownHeaderName::Server);
    conn
}

fn of(conn: Conn, content_type: &'static str, body: impl Into<trillium::Body>) -> Conn {
    conn.with_response_header(KnownHeaderName::ContentType, content_type)
        .ok(body)
}

async fn json(conn: Conn) -> Conn {
    match serde_json::to_string(&Greeting { message: HELLO }) {
        Ok(json) => of(conn, "application/json", json),
        Err(_) => conn.with_status(Status::InternalServerError),
    }
}

async fn echo(mut conn: Conn) -> Conn {
    match conn.request_body().read_bytes().await {
        Ok(body) => of(conn, BYTES, body),
        Err(_) => conn.with_status(Status::BadRequest),
    }
}

async fn upload(mut conn: Conn) -> Conn {
    // Not trillium's default, which is 10 MB.
    let body = conn.request_body().with_max_len(LARGEST_UPLOAD as u64);
    match body.read_bytes().await {
        Ok(body) => of(conn, TEXT, body.len().to_string()),
        Err(_) => conn.with_status(Status::BadRequest),
    }
}

async fn discard(mut conn: Conn) -> Conn {
    let mut body = conn.request_body().with_max_len(LARGEST_UPLOAD as u64);
    let (mut buffer, mut bytes) = (vec![0; 64 * 1024], 0);
    loop {
        match body.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => bytes += read,
            Err(_) => return conn.with_status(Status::BadRequest),
        }
    }
    of(conn, TEXT, bytes.to_string())
}

fn download(workload: Workload) -> impl Handler {
    let file: Arc<[u8]> = workload.response_body().into();
    move |conn: Conn| {
        let file = Arc::clone(&file);
        async move { of(conn, BYTES, file) }
    }
}

async fn converse(mut conn: WebSocketConn) {
    while let Some(Ok(message)) = conn.next().await {
        let is_data = message.is_text() || message.is_binary();
        if is_data && conn.send(message).await.is_err() {
            return;
        }
    }
}
