//! What happens to a client that exceeds a limit or a timeout? `cargo run --example limits` starts
//! a server with the strict presets and short timeouts, and runs such clients against it.
use anyport::{Body, Limits, Request, Response, Result, Tcp, Timeouts, serve_with, service_fn};
use std::{
    convert::Infallible,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n";

fn main() -> ExitCode {
    anyport_examples::exit_code(run())
}

fn run() -> Result<()> {
    // A real server would have tens of seconds.
    let timeouts = Timeouts::strict()
        .with_head(Duration::from_secs(1))
        .with_keep_alive(Duration::from_secs(2))
        .with_request(Duration::from_secs(1));
    let limits = Limits::strict().with_connections_per_ip(3);
    let tcp = Tcp::bind("127.0.0.1:0").per_core().with_workers(1);
    let server = serve_with(tcp, service_fn(app));
    let running = server.timeouts(timeouts).limits(limits).start()?;
    let Some(server) = running.endpoints().first().and_then(|e| e.socket_addr()) else {
        return Ok(());
    };

    let close = "Connection: close\r\n\r\n";
    let slow = GET.replace("/ ", "/slow ");
    for (client, request) in [
        ("a valid request", format!("{GET}{close}")),
        (
            "a head of 20,000 bytes",
            format!("{GET}X: {}\r\n\r\n", "x".repeat(20_000)),
        ),
        ("no Host", format!("GET / HTTP/1.1\r\n{close}")),
        ("an incomplete head", "GET / HTTP/1.1\r\nHost:".into()),
        ("no byte at all", String::new()),
        ("no second request", format!("{GET}\r\n")),
        (
            "a request that the app never answers",
            format!("{slow}{close}"),
        ),
    ] {
        show(client, outcome(server, &request));
    }
    let others: Vec<_> = (0..3).map(|_| TcpStream::connect(server)).collect();
    // The server must have accepted three connections before the fourth.
    while running.connections() < others.len() {
        thread::yield_now();
    }
    show("a fourth connection from one address", outcome(server, ""));
    Ok(())
}

async fn app(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/slow" {
        std::future::pending().await
    }
    Ok(Response::new(Body::from("Hello!")))
}

/// Sends a request, and describes the response until the server closes.
fn outcome(server: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    let begin = Instant::now();
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    let end = match stream.read_to_end(&mut response) {
        Ok(_) => "closed",
        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => "reset",
        Err(e) => return Err(e),
    };
    let response = String::from_utf8_lossy(&response);
    let status = response.lines().next().unwrap_or("no response");
    let seconds = begin.elapsed().as_secs_f32();
    Ok(format!("{status}, {end} after {seconds:.1} s"))
}

fn show(client: &str, outcome: io::Result<String>) {
    match outcome {
        Ok(outcome) => println!("{client:40} {outcome}"),
        Err(error) => println!("{client:40} {error}"),
    }
}
