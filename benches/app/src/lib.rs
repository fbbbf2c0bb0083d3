//! The app of all servers with hyper's types: anyport's own and hyper by hand. WebSockets are the
//! server's own.
//!
//! The feature `axum` adds the same app as an axum `Router`.

#[cfg(feature = "axum")]
mod router;

use anyport_bench_child::{
    Workload,
    workload::{DISCARD, DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, PLAINTEXT, UPLOAD},
};
use bytes::{Buf as _, Bytes};
use futures_util::future::{Either, ready};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Body,
    header::{CONTENT_TYPE, HeaderValue},
};
#[cfg(feature = "axum")]
pub use router::router;
use serde::Serialize;
use std::{pin::pin, sync::LazyLock};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON_TYPE: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Made once, and shared by all responses.
static FILE_64K: LazyLock<Bytes> = LazyLock::new(|| Workload::Download64K.response_body().into());
static FILE_1M: LazyLock<Bytes> = LazyLock::new(|| Workload::Download1M.response_body().into());

#[derive(Serialize)]
pub(crate) struct Message {
    pub(crate) message: &'static str,
}

/// The response that [`Workload`] describes, or a 404.
///
/// Not an `async fn`, whose future would hold the request: most responses are ready at once, and
/// moving a large future costs more than making them.
///
/// # Errors
///
/// When a body cannot be read to its end.
pub fn answer<B>(
    request: Request<B>,
) -> impl Future<Output = Result<Response<Full<Bytes>>, B::Error>>
where
    B: Body<Data = Bytes>,
{
    match route(request) {
        Route::Respond(response) => Either::Left(ready(Ok(response))),
        // Boxed, so that the futures of all other requests are smaller.
        Route::Collect(body, respond) => {
            Either::Right(Either::Left(Box::pin(collect(body, respond))))
        }
        Route::Discard(body) => Either::Right(Either::Right(Box::pin(discard(body)))),
    }
}

/// Makes the response of a collected body.
type Respond = fn(Collected<Bytes>) -> Response<Full<Bytes>>;

enum Route<B> {
    Respond(Response<Full<Bytes>>),
    /// The response needs the whole body.
    Collect(B, Respond),
    /// The response needs the length of the body.
    Discard(B),
}

fn route<B>(request: Request<B>) -> Route<B> {
    Route::Respond(match (request.method(), request.uri().path()) {
        (&Method::GET, PLAINTEXT) => of(TEXT, Bytes::from_static(HELLO.as_bytes())),
        (&Method::GET, JSON) => json(),
        (&Method::POST, ECHO) => {
            return Route::Collect(request.into_body(), |body| of(BYTES, body.to_bytes()));
        }
        (&Method::POST, UPLOAD) => {
            // Without a copy into one buffer, which would cost more than the server.
            return Route::Collect(request.into_body(), |body| {
                length(body.aggregate().remaining())
            });
        }
        (&Method::POST, DISCARD) => return Route::Discard(request.into_body()),
        (&Method::GET, DOWNLOAD_64K) => of(BYTES, FILE_64K.clone()),
        (&Method::GET, DOWNLOAD_1M) => of(BYTES, FILE_1M.clone()),
        _ => empty(StatusCode::NOT_FOUND),
    })
}

fn json() -> Response<Full<Bytes>> {
    match serde_json::to_vec(&Message { message: HELLO }) {
        Ok(json) => of(JSON_TYPE, json.into()),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn length(bytes: usize) -> Response<Full<Bytes>> {
    of(TEXT, bytes.to_string().into())
}

async fn discard<B>(body: B) -> Result<Response<Full<Bytes>>, B::Error>
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length(bytes))
}

async fn collect<B>(body: B, respond: Respond) -> Result<Response<Full<Bytes>>, B::Error>
where
    B: Body<Data = Bytes>,
{
    Ok(respond(body.collect().await?))
}

fn of(content_type: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
