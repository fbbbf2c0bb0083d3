//! `with_connect_info` is there with a feature only.
use anyport::{Tcp, axum::app, serve_with};
use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> anyport::Result<()> {
    let router = Router::new().route("/", get(async || "Hello!"));
    serve_with(Tcp::bind(3000), app(router).with_connect_info()).await
}
