use anyport::{Body, Request, Response, Result, service_fn, transport::tcp::listen};
use std::{convert::Infallible, rc::Rc};

async fn hello(_: Request<Body>) -> std::result::Result<Response<String>, Infallible> {
    let name = Rc::new("world");
    tokio::task::yield_now().await;
    Ok(Response::new(format!("Hello, {name}!")))
}

#[tokio::main]
async fn main() -> Result<()> {
    listen(3000, service_fn(hello)).await?;
    Ok(())
}
