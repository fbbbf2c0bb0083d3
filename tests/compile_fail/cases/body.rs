use anyport::{Body, Request, Response, Result, service_fn, transport::tcp::listen};
use std::convert::Infallible;

struct Greeting {
    _name: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let app = service_fn(|_: Request<Body>| async {
        let greeting = Greeting {
            _name: "world".into(),
        };
        Ok::<_, Infallible>(Response::new(greeting))
    });
    listen(3000, app).await?;
    Ok(())
}
