//! `axum::serve` takes a make service. A server of anyport takes the app itself.
use anyport::{Tcp, serve_with};
use axum::{Router, routing::get};

fn main() {
    let router = Router::new().route("/", get(async || "Hello!"));
    let _ = serve_with(Tcp::bind(3000), router.into_make_service());
}
