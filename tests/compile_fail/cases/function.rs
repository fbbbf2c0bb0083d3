use anyport::{Body, Request, Response, Result, Tcp, serve_with};
use std::convert::Infallible;

async fn hello(_: Request<Body>) -> std::result::Result<Response<String>, Infallible> {
    Ok(Response::new("Hello!".into()))
}

#[tokio::main]
async fn main() -> Result<()> {
    serve_with(Tcp::bind(3000), hello).await?;
    Ok(())
}
