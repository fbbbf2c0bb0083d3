use anyport::{Body, Request, Response, Result, transport::tcp::listen};
use std::convert::Infallible;

#[tokio::main]
async fn main() -> Result<()> {
    listen(3000, |_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::from("Hello!")))
    })
    .await?;
    Ok(())
}
