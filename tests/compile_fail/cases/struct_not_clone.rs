use anyport::{Body, Request, Response, Result, transport::tcp::listen};
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

struct Hello;

impl tower::Service<Request<Body>> for Hello {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new("Hello!".into())))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    listen(3000, Hello).await?;
    Ok(())
}
