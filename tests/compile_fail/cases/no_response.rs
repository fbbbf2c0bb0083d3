use anyport::{Body, Request, Result, service_fn, transport::tcp::listen};
use std::convert::Infallible;

#[tokio::main]
async fn main() -> Result<()> {
    let app = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(String::from("Hello!")) });
    listen(3000, app).await?;
    Ok(())
}
