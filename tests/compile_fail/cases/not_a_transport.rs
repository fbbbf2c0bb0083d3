use anyport::{Body, Request, Response, Result, serve_with, service_fn};
use std::convert::Infallible;

#[tokio::main]
async fn main() -> Result<()> {
    let app =
        service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::from("Hello!"))) });
    serve_with("127.0.0.1:3000", app).await?;
    Ok(())
}
