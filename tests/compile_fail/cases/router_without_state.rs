//! A router whose handlers extract a state needs it before it can be served.
use anyport::{Tcp, serve_with};
use axum::{Router, extract::State, routing::get};

#[derive(Clone)]
struct Database;

async fn hello(State(_): State<Database>) -> &'static str {
    "Hello!"
}

#[tokio::main]
async fn main() -> anyport::Result<()> {
    let router = Router::new().route("/", get(hello));
    serve_with(Tcp::bind(3000), router).await
}
