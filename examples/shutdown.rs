//! What becomes of the clients when the server shuts down? `cargo run --example shutdown` plays
//! four of them through a drain and prints its report.
use anyport::{Body, Request, Response, Result, Tcp, serve_with, service_fn};
use std::{convert::Infallible, io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let running = serve_with(Tcp::bind("127.0.0.1:0"), service_fn(answer)).start()?;
    let Some(server) = running.endpoints().first().and_then(|e| e.socket_addr()) else {
        return Ok(());
    };

    let clients = [
        ("idle, after a request", "/"),
        ("waiting for an answer that takes 1 s", "/second"),
        ("waiting for one that takes an hour", "/hour"),
    ];
    let clients = clients.map(|(who, path)| tokio::spawn(client(server, who, path)));
    // Not to wait for anything: a server runs for a while before it's shut down.
    sleep(Duration::from_millis(200)).await;
    println!(
        "{} connections are open; shutting down, with a grace of 4 s",
        running.connections()
    );

    let drained = running.shutdown(Duration::from_secs(4));
    let late = tokio::spawn(client(server, "new, in the drain's first second", "/"));
    println!("{}", drained.await?);
    for client in clients.into_iter().chain([late]) {
        // A client that panicked has nothing to tell.
        let _ = client.await;
    }
    Ok(())
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    match request.uri().path() {
        "/second" => sleep(Duration::from_secs(1)).await,
        "/hour" => sleep(Duration::from_secs(3600)).await,
        _ => {}
    }
    Ok(Response::new(Body::from("done")))
}

async fn client(server: SocketAddr, who: &str, path: &str) {
    match exchange(server, path).await {
        Ok(answer) if answer.is_empty() => println!("  {who}: cut off without an answer"),
        Ok(answer) if answer.contains("connection: close") => {
            println!("  {who}: answered, and told to go elsewhere")
        }
        Ok(_) => println!("  {who}: answered, and closed when it was idle"),
        Err(error) => println!("  {who}: {error}"),
    }
}

/// Asks once, then reads until the server closes.
async fn exchange(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
