//! How do I test an app with its server, without a network and without waiting?
//! `cargo run --example testing`.
//!
//! The app is served in memory, on tokio's paused clock. This clock jumps to the next timer when no
//! task is ready, so that the keep-alive timeout of 75 s passes at once.
use anyport::{
    Body, Memory, Request, Response, http::StatusCode, runtime::TokioIo, serve_with, service_fn,
};
use std::{convert::Infallible, error::Error};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let memory = Memory::new();
    let connector = memory.connector();
    let running = serve_with(memory, service_fn(app)).start()?;

    // Use any client that takes a stream; this one is hyper's.
    let stream = TokioIo::new(connector.connect()?);
    let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);

    let found = client.send_request(request("/here")?).await?;
    assert_eq!(found.status(), StatusCode::OK);
    println!("/here  {}", found.status());
    let missing = client.send_request(request("/there")?).await?;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    println!("/there {}", missing.status());

    let idle = Instant::now();
    connection.await??;
    println!(
        "idle   closed by the server after {:?}, on the paused clock",
        idle.elapsed()
    );
    assert!((75..76).contains(&idle.elapsed().as_secs()));

    println!(
        "{}",
        running.shutdown(std::time::Duration::from_secs(1)).await?
    );
    match connector.connect() {
        Ok(_) => Err("a client could connect after the server had ended".into()),
        Err(error) => {
            println!("after  {error}");
            Ok(())
        }
    }
}

async fn app(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::empty());
    if request.uri().path() != "/here" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

fn request(path: &str) -> Result<Request<String>, Box<dyn Error>> {
    Ok(Request::get(path)
        .header("host", "localhost")
        .body(String::new())?)
}
