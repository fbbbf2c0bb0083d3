//! The workloads, by ntex's own extractors, responders and WebSockets.

use anyport_bench_child::{
    Workload,
    workload::{
        DISCARD, DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, LARGEST_UPLOAD, PLAINTEXT, UPLOAD,
        WEBSOCKET,
    },
};
use ntex::{
    service::{fn_factory, fn_service},
    util::{ByteString, Bytes},
    web::{
        self, HttpRequest, HttpResponse, ServiceConfig,
        ws::{self, Frame, Message},
    },
};
use serde::Serialize;
use std::io;

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

/// Once per worker, so that the files are made once.
pub(crate) fn configure(config: &mut ServiceConfig) {
    let file_64k = Bytes::from(Workload::Download64K.response_body());
    let file_1m = Bytes::from(Workload::Download1M.response_body());
    config
        // Not ntex's default, which is 256 KiB.
        .state(web::types::PayloadConfig::new(LARGEST_UPLOAD))
        .route(PLAINTEXT, web::get().to(async || HELLO))
        .route(JSON, web::get().to(json))
        .route(ECHO, web::post().to(echo))
        .route(DOWNLOAD_64K, web::get().to(download(file_64k)))
        .route(DOWNLOAD_1M, web::get().to(download(file_1m)))
        .route(UPLOAD, web::post().to(upload))
        .route(DISCARD, web::post().to(discard))
        .route(WEBSOCKET, web::get().to(websocket));
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().json(&Greeting { message: HELLO })
}

async fn echo(body: Bytes) -> Bytes {
    body
}

async fn upload(body: Bytes) -> String {
    body.len().to_string()
}

async fn discard(mut body: web::types::Payload) -> Result<String, web::Error> {
    let mut bytes = 0;
    while let Some(data) = body.recv().await {
        bytes += data?.len();
    }
    Ok(bytes.to_string())
}

fn download(file: Bytes) -> impl AsyncFn() -> Bytes + Clone {
    async move || file.clone()
}

async fn websocket(request: HttpRequest) -> Result<HttpResponse, web::Error> {
    let each = fn_factory(async || Ok::<_, web::Error>(fn_service(answer)));
    ws::start(request, None::<&str>, each).await
}

async fn answer(frame: Frame) -> io::Result<Option<Message>> {
    Ok(match frame {
        Frame::Text(bytes) => {
            let text = ByteString::try_from(bytes);
            Some(Message::Text(text.map_err(|_| io::ErrorKind::InvalidData)?))
        }
        Frame::Binary(bytes) => Some(Message::Binary(bytes)),
        Frame::Ping(bytes) => Some(Message::Pong(bytes)),
        Frame::Close(reason) => Some(Message::Close(reason)),
        Frame::Pong(_) | Frame::Continuation(_) => None,
    })
}
