//! What happens to clients when the server shuts down? `cargo run --example shutdown` runs four
//! clients through a drain. The server logs its progress; afterwards, each client's view is
//! printed.
use anyport::{Body, Request, Response, Result, Tcp, serve_with, service_fn};
use std::{convert::Infallible, io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().init();
    anyport_examples::exit_code(run().await)
}

async fn run() -> Result<()> {
    let running = serve_with(Tcp::bind("127.0.0.1:0"), service_fn(app)).start()?;
    let Some(server) = running.endpoints().first().and_then(|e| e.socket_addr()) else {
        return Ok(());
    };

    let clients = [
        ("idle after a request", "/"),
        ("with a request that takes 1 s", "/second"),
        ("with a request that takes an hour", "/hour"),
    ];
    let clients = clients.map(|(name, path)| tokio::spawn(client(server, name, path)));
    // The server runs for a while first; the sleep does not wait for an event.
    sleep(Duration::from_millis(200)).await;
    let drained = running.shutdown(Duration::from_secs(4));
    let late = tokio::spawn(client(server, "new in the first second of the drain", "/"));
    drained.await?;
    for client in clients.into_iter().chain([late]) {
        // A client that panicked has printed its panic.
        let _ = client.await;
    }
    Ok(())
}

async fn app(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/second" => sleep(Duration::from_secs(1)).await,
        "/hour" => sleep(Duration::from_secs(3600)).await,
        _ => {}
    }
    Ok(Response::new(Body::from("done")))
}

async fn client(server: SocketAddr, name: &str, path: &str) {
    match exchange(server, path).await {
        Ok(response) if response.is_empty() => println!("  {name}: closed without a response"),
        Ok(response) if response.contains("connection: close") => {
            println!("  {name}: response with `Connection: close`")
        }
        Ok(_) => println!("  {name}: response, then closed while idle"),
        Err(error) => println!("  {name}: {error}"),
    }
}

/// Sends one request, then reads until the server closes.
async fn exchange(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}
