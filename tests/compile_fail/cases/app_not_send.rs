use anyport::{Body, Request, Response, Result, Tcp, serve_with, service_fn};
use std::{cell::Cell, convert::Infallible, rc::Rc};

#[tokio::main]
async fn main() -> Result<()> {
    let seen = Rc::new(Cell::new(0));
    let app = service_fn(move |_: Request<Body>| {
        seen.set(seen.get() + 1);
        let text = format!("{} so far", seen.get());
        async { Ok::<_, Infallible>(Response::new(text)) }
    });
    serve_with(Tcp::bind(3000), app).await?;
    Ok(())
}
