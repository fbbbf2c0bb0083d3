use anyport::{Body, Request, Response, Result, service_fn, transport::tcp::listen};

#[tokio::main]
async fn main() -> Result<()> {
    let app = service_fn(|_: Request<Body>| async { Response::new(Body::from("Hello!")) });
    listen(3000, app).await?;
    Ok(())
}
