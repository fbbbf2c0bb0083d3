//! How do I serve an app? `cargo run --example hello`, then `curl localhost:3000`.
use anyport::{Tcp, runtime::shutdown, serve_with};
use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> anyport::Result<()> {
    tracing_subscriber::fmt().init(); // prints the server's log
    let app = Router::new().route("/", get(|| async { "Hello, World!" }));
    serve_with(Tcp::bind("127.0.0.1:3000"), app) // or another transport
        .with_graceful_shutdown(shutdown::signal())
        .await
}
