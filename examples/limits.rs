//! What does a client see that goes too far? `cargo run --example limits` starts a server with the
//! strict presets, sharpened, and plays such clients.
use anyport::{Body, Limits, Request, Response, Result, Tcp, Timeouts, serve_with, service_fn};
use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // Seconds where a real server has tens of them, so that the demonstration is short.
    let timeouts = Timeouts::strict()
        .with_head(Duration::from_secs(1))
        .with_keep_alive(Duration::from_secs(2))
        .with_request(Duration::from_secs(1));
    let limits = Limits::strict().with_connections_per_ip(3);
    let running = serve_with(
        Tcp::bind("127.0.0.1:0").per_core().with_workers(1),
        service_fn(answer),
    )
    .timeouts(timeouts)
    .limits(limits)
    .start()?;
    let Some(server) = running.endpoints().first().and_then(|e| e.socket_addr()) else {
        return Ok(());
    };

    let huge = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(20_000)
    );
    show(
        "a request",
        sees(
            server,
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ),
    );
    show("a head of 20,000 bytes", sees(server, &huge));
    show(
        "no Host",
        sees(server, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
    );
    show(
        "a head that never ends",
        sees(server, "GET / HTTP/1.1\r\nHost:"),
    );
    show("not a word", sees(server, ""));
    show(
        "a kept connection without a request",
        sees(server, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    );
    show(
        "a request that the app doesn't answer",
        sees(
            server,
            "GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        ),
    );
    let others: Vec<_> = (0..3).map(|_| TcpStream::connect(server)).collect();
    // They have to be accepted before the fourth comes.
    while running.connections() < others.len() {
        thread::yield_now();
    }
    show("a fourth connection from one address", sees(server, ""));
    Ok(())
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/slow" {
        std::future::pending().await
    }
    Ok(Response::new(Body::from("Hello!")))
}

/// Sends this and tells what comes back until the server closes.
fn sees(server: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    let begin = Instant::now();
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let end = match stream.read_to_end(&mut answer) {
        Ok(_) => "closed",
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => "reset",
        Err(e) => return Err(e),
    };
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.lines().next().unwrap_or("nothing");
    Ok(format!(
        "{status}, {end} after {:.1} s",
        begin.elapsed().as_secs_f32()
    ))
}

fn show(client: &str, sees: io::Result<String>) {
    match sees {
        Ok(sees) => println!("{client:40} {sees}"),
        Err(error) => println!("{client:40} {error}"),
    }
}
