//! The server of a case: an app of this crate, or a script that answers with given bytes.
use anyport_core::{Body, Connection};
use anyport_ws::{self as ws, CloseFrame, Config, Deflate, WebSocket};
use http::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

#[derive(Clone, Copy)]
pub(crate) enum Peer {
    /// This crate's server.
    Echo,
    /// [`answers::ANSWERS`](crate::answers::ANSWERS).
    Answers,
    /// HTTP/2 without extended CONNECT.
    PlainHttp2,
}

macro_rules! server {
    ($transport:expr, $peer:expr) => {
        match $peer {
            Peer::Echo => {
                anyport_core::serve_with($transport, tower::service_fn($crate::peer::app))
            }
            Peer::Answers => anyport_core::serve_raw_with($transport, $crate::peer::answer),
            Peer::PlainHttp2 => anyport_core::serve_raw_with($transport, $crate::peer::plain_http2),
        }
    };
}
pub(crate) use server;

pub(crate) async fn app(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let config = Config::default().with_protocols(["v2", "v1"]);
    let config = config.with_deflate(Deflate::default());
    Ok(match request.uri().path() {
        "/close" => ws::upgrade(&mut request, &config, |socket| async {
            let frame = CloseFrame::new(4001, "enough");
            let _ = socket.close(Some(frame)).await;
        }),
        "/refuse" => {
            let mut response = Response::new(Body::from("no such room\n".repeat(1000)));
            *response.status_mut() = StatusCode::FORBIDDEN;
            response
        }
        _ => ws::upgrade(&mut request, &config, echo),
    })
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if message.is_data() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Answers a request for `/NAME/CUT` with the first CUT bytes of that answer.
pub(crate) async fn answer(connection: impl Connection) {
    let mut io = TokioIo::new(connection);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let Some((name, cut)) = path.trim_start_matches('/').split_once('/') else {
        return;
    };
    let key = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map_or("", |(_, key)| key);
    let answer = crate::answers::ANSWERS
        .iter()
        .find(|answer| answer.name == name)
        .unwrap();
    let bytes = answer.bytes(&derive_accept_key(key.as_bytes()));
    let cut = cut.parse().unwrap_or(bytes.len()).min(bytes.len());
    let _ = io.write_all(&bytes[..cut]).await;
    let _ = io.flush().await;
    if !answer.holds || cut < bytes.len() {
        let _ = io.shutdown().await;
    }
    // To the end, so that no reset destroys the answer.
    let _ = copy(&mut io, &mut sink()).await;
}

pub(crate) async fn plain_http2(connection: impl Connection) {
    let Ok(mut connection) = h2::server::handshake(TokioIo::new(connection)).await else {
        return;
    };
    while let Some(Ok(_)) = connection.accept().await {}
}
