//! The app with its WebSocket, by fastwebsockets.

use anyport_bench_app::answer;
use anyport_bench_child::workload::WEBSOCKET;
use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use futures_util::future::{Either, ready};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
};

/// Answers a request.
///
/// # Errors
///
/// When a body cannot be read to its end.
pub fn respond(
    request: Request<Incoming>,
) -> impl Future<Output = hyper::Result<Response<Full<Bytes>>>> {
    // As in anyport's server, no `async fn`, whose future would hold the request.
    match request.uri().path() {
        WEBSOCKET => Either::Left(ready(Ok(open(request)))),
        _ => Either::Right(answer(request)),
    }
}

fn open(mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let Ok((response, upgraded)) = upgrade::upgrade(&mut request) else {
        let mut refusal = Response::default();
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    // A peer that went away is no error of the server.
    tokio::spawn(async { echo(upgraded).await.ok() });
    response.map(|_| Full::default())
}

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        // It answers the others itself.
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}
