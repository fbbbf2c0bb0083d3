//! The app: it tells what arrived, and answers in each way that a proxy might get wrong.
use crate::web_sockets;
use anyport::{Body, BoxError, Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    fmt::Write as _,
    hash::{DefaultHasher, Hasher as _},
};

/// In how many pieces a stream is sent.
const PIECES: usize = 7;

/// - `/tell`: the request, with its body's length and sum.
/// - `/unread`: the same without reading the body.
/// - `/bytes/N`, `/stream/N`: so many bytes, whose length is known or not.
/// - `/status/N`: nothing, with that status.
/// - `/echo`, `/ws`: a WebSocket of tungstenite, and one of ours.
/// - `/page/echo`, `/page/ws`, `/report`: pages that talk to them, and what came of that.
pub(crate) async fn tell(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    match request.uri().path() {
        "/echo" => return web_sockets::echo(request),
        "/ws" => return Ok(web_sockets::our_echo(request)),
        "/page/echo" | "/page/ws" => return Ok(web_sockets::page()),
        "/report" => {
            let site = request.uri().query().unwrap_or_default().to_owned();
            let report = request.into_body().collect().await?.to_bytes();
            web_sockets::report(&site, String::from_utf8(report.to_vec())?);
            return Ok(Response::new(Body::empty()));
        }
        _ => {}
    }
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let number = || path.rsplit('/').next().unwrap_or_default().parse::<usize>();
    let mut response = if path.starts_with("/bytes/") {
        Response::new(made(number()?).into())
    } else if path.starts_with("/stream/") {
        let bytes = Bytes::from(made(number()?));
        let size = bytes.len().div_ceil(PIECES);
        let pieces = (0..PIECES).map(move |n| {
            let piece = bytes.slice((n * size).min(bytes.len())..((n + 1) * size).min(bytes.len()));
            Ok::<_, Infallible>(Frame::data(piece))
        });
        Response::new(Body::new(StreamBody::new(stream::iter(pieces))))
    } else if path.starts_with("/status/") {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(number()?.try_into()?)?;
        response
    } else {
        let mut told = format!(
            "{} {}",
            head.method,
            head.uri.path_and_query().map_or("", |p| p.as_str())
        );
        for (name, value) in &head.headers {
            if name.as_str().starts_with("x-test-") {
                write!(told, " {name}={}", value.as_bytes().escape_ascii())?;
            }
        }
        if path != "/unread" {
            let body = body.collect().await?.to_bytes();
            write!(told, " {} {}", body.len(), sum(&body))?;
        }
        Response::new(told.into())
    };
    if let Some(id) = head.headers.get("x-test-id") {
        response.headers_mut().insert("x-test-id", id.clone());
    }
    Ok(response)
}

pub(crate) fn made(length: usize) -> Vec<u8> {
    let pattern = b"0123456789abcdefghijklmnopqrstuvwxy";
    let mut made = pattern.repeat(length.div_ceil(pattern.len()));
    made.truncate(length);
    made
}

/// Differs if the bytes do.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
