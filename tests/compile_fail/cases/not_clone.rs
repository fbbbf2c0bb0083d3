use anyport::{Body, Request, Response, Result, service_fn, transport::tcp::listen};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
};

#[tokio::main]
async fn main() -> Result<()> {
    let seen = AtomicU64::new(0);
    let app = service_fn(move |_: Request<Body>| {
        let text = format!("{} so far", seen.fetch_add(1, Ordering::Relaxed));
        async { Ok::<_, Infallible>(Response::new(text)) }
    });
    listen(3000, app).await?;
    Ok(())
}
