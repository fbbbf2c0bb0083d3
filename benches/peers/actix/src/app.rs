//! The workloads, by actix-web's own extractors and responders, and actix-ws.

use actix_web::{HttpRequest, HttpResponse, http::header::ContentType, rt, web};
use actix_ws::{Message, MessageStream, Session};
use anyport_bench_child::{
    Workload,
    workload::{
        DISCARD, DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, LARGEST_MESSAGE, LARGEST_UPLOAD,
        PLAINTEXT, UPLOAD, WEBSOCKET,
    },
};
use futures_util::StreamExt as _;
use serde::Serialize;

#[derive(Serialize)]
struct Greeting {
    message: &'static str,
}

/// Made once, and shared by all responses.
#[derive(Clone)]
pub(crate) struct Downloads {
    file_64k: web::Bytes,
    file_1m: web::Bytes,
}

impl Downloads {
    pub(crate) fn new() -> web::Data<Self> {
        web::Data::new(Self {
            file_64k: Workload::Download64K.response_body().into(),
            file_1m: Workload::Download1M.response_body().into(),
        })
    }
}

pub(crate) fn configure(config: &mut web::ServiceConfig, downloads: &web::Data<Downloads>) {
    config
        .app_data(downloads.clone())
        // Not actix's default, which is 256 KiB.
        .app_data(web::PayloadConfig::new(LARGEST_UPLOAD))
        .route(PLAINTEXT, web::get().to(plaintext))
        .route(JSON, web::get().to(json))
        .route(ECHO, web::post().to(echo))
        .route(DOWNLOAD_64K, web::get().to(download_64k))
        .route(DOWNLOAD_1M, web::get().to(download_1m))
        .route(UPLOAD, web::post().to(upload))
        .route(DISCARD, web::post().to(discard))
        .route(WEBSOCKET, web::get().to(websocket));
}

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(HELLO)
}

async fn json() -> web::Json<Greeting> {
    web::Json(Greeting { message: HELLO })
}

async fn echo(body: web::Bytes) -> web::Bytes {
    body
}

async fn upload(body: web::Bytes) -> String {
    body.len().to_string()
}

async fn discard(mut body: web::Payload) -> actix_web::Result<String> {
    let mut bytes = 0;
    while let Some(data) = body.next().await {
        bytes += data?.len();
    }
    Ok(bytes.to_string())
}

async fn download_64k(downloads: web::Data<Downloads>) -> web::Bytes {
    downloads.file_64k.clone()
}

async fn download_1m(downloads: web::Data<Downloads>) -> web::Bytes {
    downloads.file_1m.clone()
}

async fn websocket(request: HttpRequest, body: web::Payload) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    // Not actix's default, which is 64 KiB.
    let messages = messages.max_frame_size(LARGEST_MESSAGE);
    rt::spawn(converse(session, messages));
    Ok(response)
}

async fn converse(mut session: Session, mut messages: MessageStream) {
    while let Some(Ok(message)) = messages.recv().await {
        let sent = match message {
            Message::Text(text) => session.text(text).await,
            Message::Binary(bytes) => session.binary(bytes).await,
            Message::Ping(bytes) => session.pong(&bytes).await,
            Message::Close(reason) => return drop(session.close(reason).await),
            _ => continue,
        };
        if sent.is_err() {
            return;
        }
    }
}
