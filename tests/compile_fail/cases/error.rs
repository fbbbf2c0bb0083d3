use anyport::{Body, Request, Response, Result, service_fn, transport::tcp::listen};

#[derive(Debug)]
struct Wrong;

#[tokio::main]
async fn main() -> Result<()> {
    let app = service_fn(|_: Request<Body>| async {
        if true {
            Ok(Response::new(Body::from("Hello!")))
        } else {
            Err(Wrong)
        }
    });
    listen(3000, app).await?;
    Ok(())
}
