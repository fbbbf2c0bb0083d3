use anyport::{Body, Request, Response, Result, Tcp, per_worker, serve_with, service_fn};
use std::{cell::Cell, convert::Infallible, rc::Rc};

#[tokio::main]
async fn main() -> Result<()> {
    let app = per_worker(|_| {
        let seen = Rc::new(Cell::new(0));
        service_fn(move |_: Request<Body>| {
            seen.set(seen.get() + 1);
            let text = format!("{} so far", seen.get());
            async { Ok::<_, Infallible>(Response::new(text)) }
        })
    });
    serve_with(Tcp::bind(3000), app).await?;
    Ok(())
}
