//! The app: it describes requests, and sends every kind of response that a proxy might handle
//! wrongly.
use crate::web_sockets;
use anyport::{Body, Request, Response, error::BoxError, http::StatusCode};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    fmt::Write as _,
    hash::{DefaultHasher, Hasher as _},
};

/// Number of frames of a stream.
const PIECES: usize = 7;

/// - `/tell`: the request, with the length and checksum of its body.
/// - `/unread`: the same, without reading the body.
/// - `/bytes/N`, `/stream/N`: N bytes of known or unknown length.
/// - `/status/N`: an empty response with this status.
/// - `/echo`, `/ws`: a WebSocket of tungstenite, and one of anyport.
/// - `/page/echo`, `/page/ws`, `/report`: pages for browsers, and their reports.
pub(crate) async fn describe(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    match request.uri().path() {
        "/echo" => return web_sockets::echo(request),
        "/ws" => return Ok(web_sockets::anyport_echo(request)),
        "/page/echo" | "/page/ws" => return Ok(web_sockets::page()),
        "/report" => {
            let transport = request.uri().query().unwrap_or_default().to_owned();
            let report = request.into_body().collect().await?.to_bytes();
            web_sockets::report(&transport, String::from_utf8(report.to_vec())?);
            return Ok(Response::new(Body::empty()));
        }
        _ => {}
    }
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let number = || path.rsplit('/').next().unwrap_or_default().parse::<usize>();
    let mut response = if path.starts_with("/bytes/") {
        Response::new(bytes_of_length(number()?).into())
    } else if path.starts_with("/stream/") {
        let bytes = Bytes::from(bytes_of_length(number()?));
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
        let mut text = format!(
            "{} {}",
            head.method,
            head.uri.path_and_query().map_or("", |p| p.as_str())
        );
        for (name, value) in &head.headers {
            if name.as_str().starts_with("x-test-") {
                write!(text, " {name}={}", value.as_bytes().escape_ascii())?;
            }
        }
        if path != "/unread" {
            let body = body.collect().await?.to_bytes();
            write!(text, " {} {}", body.len(), sum(&body))?;
        }
        Response::new(text.into())
    };
    if let Some(id) = head.headers.get("x-test-id") {
        response.headers_mut().insert("x-test-id", id.clone());
    }
    Ok(response)
}

pub(crate) fn bytes_of_length(length: usize) -> Vec<u8> {
    let pattern = b"0123456789abcdefghijklmnopqrstuvwxy";
    let mut bytes_of_length = pattern.repeat(length.div_ceil(pattern.len()));
    bytes_of_length.truncate(length);
    bytes_of_length
}

/// A checksum of the bytes.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
