//! How do I serve an app? `cargo run --example hello`, then `curl localhost:3000`.
use anyport::{Body, Request, Response, Tcp, runtime::shutdown, serve_with, service_fn};
use std::convert::Infallible;

#[tokio::main]
async fn main() -> anyport::Result<()> {
    let app = service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("Hello, World!")))
    });
    let report = serve_with(Tcp::bind("127.0.0.1:3000"), app) // or Tcp::bind(3000).per_core(), or a transport of yours
        .with_graceful_shutdown(shutdown::signal())
        .await?;
    println!("{report}");
    Ok(())
}
