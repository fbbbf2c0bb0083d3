//! The same app with axum's extractors and responses, and one route with tower-http layers.

use crate::{Message, discard};
use anyport_bench_child::{
    Workload,
    workload::{
        DISCARD, DOWNLOAD_1M, DOWNLOAD_64K, ECHO, HELLO, JSON, LARGEST_UPLOAD, LAYERS, PLAINTEXT,
        UPLOAD, WEBSOCKET,
    },
};
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    http::{StatusCode, header::AUTHORIZATION},
    routing::{MethodRouter, get, post},
};
use http_body_util::Full;
use hyper::Response;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer, timeout::TimeoutLayer, trace::TraceLayer,
};

/// Longer than any response of the bench takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The app as a `Router`, with this route for WebSockets.
pub fn router(websocket: MethodRouter) -> Router {
    let file_64k = Bytes::from(Workload::Download64K.response_body());
    let file_1m = Bytes::from(Workload::Download1M.response_body());
    Router::new()
        .route(PLAINTEXT, get(|| async { HELLO }))
        .route(JSON, get(|| async { Json(Message { message: HELLO }) }))
        .route(ECHO, post(|body: Bytes| async { body }))
        .route(DOWNLOAD_64K, get(|| async { file_64k }))
        .route(DOWNLOAD_1M, get(|| async { file_1m }))
        .route(
            UPLOAD,
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route(DISCARD, post(discard_body))
        .route(WEBSOCKET, websocket)
        // Not axum's default, which is 2 MB.
        .layer(DefaultBodyLimit::max(LARGEST_UPLOAD))
        .merge(layered())
}

/// Layers of many applications, none of which changes this response.
fn layered() -> Router {
    Router::new().route(LAYERS, get(|| async { HELLO })).layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
            .layer(TraceLayer::new_for_http())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                TIMEOUT,
            ))
            .layer(RequestBodyLimitLayer::new(64 * 1024))
            .layer(CatchPanicLayer::new()),
    )
}

async fn discard_body(body: Body) -> Result<Response<Full<Bytes>>, StatusCode> {
    discard(body).await.map_err(|_| StatusCode::BAD_REQUEST)
}
