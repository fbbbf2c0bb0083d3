use anyport::{Body, Request, Response, Result, listen, service_fn};

#[tokio::main]
async fn main() -> Result<()> {
    let app = service_fn(|_: Request<Body>| async { Response::new(Body::from("Hello!")) });
    listen(3000, app).await?;
    Ok(())
}
