//! A drain under load: a client that honours `Connection: close` sees no failure.
//!
//! Only a *connect* may be refused, once the listening sockets are closed. A client that is
//! connected and has sent a request gets its response.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Body, Handle, Server, observe::DrainReport, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::fixture::run_concurrently;
use http::{Request, Response};
use std::{
    convert::Infallible,
    fmt,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, OnceLock,
        mpsc::{Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};
use tower::service_fn;

/// The servers of a test run at once, since most of a drain is its lame-duck stage.
const LANES: usize = 5;
const ROUNDS: usize = 2;
const CLIENTS: usize = 16;
/// Longer than any drain here takes.
const GRACE: Duration = Duration::from_secs(20);
/// How many responses each client has received before the drain begins.
const WARM: usize = 20;
/// A client that waits longer has lost a response.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How a client uses its connections.
#[derive(Clone, Copy, Debug)]
enum ConnectionUse {
    /// One request after another on one connection, until a response has `Connection: close`.
    KeepAlive,
    /// A connection for each request, which sends `Connection: close`.
    ConnectionPerRequest,
}

#[test]
fn drain_on_ambient_tokio_fails_no_keep_alive_client() {
    run_concurrently(LANES, |_| run_rounds(ConnectionUse::KeepAlive, ambient));
}

#[test]
fn drain_on_ambient_tokio_fails_no_reconnecting_client() {
    run_concurrently(LANES, |_| {
        run_rounds(ConnectionUse::ConnectionPerRequest, ambient)
    });
}

#[test]
fn drain_of_two_workers_fails_no_keep_alive_client() {
    run_concurrently(LANES, |_| run_rounds(ConnectionUse::KeepAlive, two_workers));
}

#[test]
fn drain_of_two_workers_fails_no_reconnecting_client() {
    run_concurrently(LANES, |_| {
        run_rounds(ConnectionUse::ConnectionPerRequest, two_workers)
    });
}

fn ambient() -> Server {
    serve_with(Tcp::bind("127.0.0.1:0"), service_fn(respond))
}

fn two_workers() -> Server {
    serve_with(
        Tcp::bind("127.0.0.1:0").per_core().with_workers(2),
        service_fn(respond),
    )
}

async fn respond(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("Hello, World!".into()))
}

async fn run_rounds(connection_use: ConnectionUse, server: impl Fn() -> Server) {
    for round in 1..=ROUNDS {
        let (report, clients) = drain_with_clients(server().start().unwrap(), connection_use).await;
        let failures: Vec<String> = clients
            .iter()
            .filter_map(|client| client.as_ref().err().map(Failure::to_string))
            .collect();
        assert!(
            failures.is_empty(),
            "round {round}: {} of {CLIENTS} clients failed ({report})\n{}",
            failures.len(),
            failures.join("\n")
        );
        assert_eq!(report.aborted, 0, "round {round}: {report}");
    }
}

/// Starts the clients, drains the server when all are busy, and waits for the clients to end.
async fn drain_with_clients(
    handle: Handle,
    connection_use: ConnectionUse,
) -> (DrainReport, Vec<Result<usize, Failure>>) {
    let addr = handle.endpoints()[0].socket_addr().unwrap();
    let drain_began = Arc::new(OnceLock::new());
    let (warm, all_warm) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = Client {
                addr,
                connection_use,
                warm: Some(warm.clone()),
                responses: 0,
                drain_began: Arc::clone(&drain_began),
            };
            thread::spawn(move || client.run())
        })
        .collect();
    drop(warm);
    // A client that has failed already drops its sender as well.
    while all_warm.recv().is_ok() {}
    drain_began.set(Instant::now()).unwrap();
    let report = handle.shutdown(GRACE).await.unwrap();
    let ends = clients.into_iter().map(|client| client.join().unwrap());
    (report, ends.collect())
}

struct Client {
    addr: SocketAddr,
    connection_use: ConnectionUse,
    /// Dropped when the client has received enough responses for the drain to begin.
    warm: Option<Sender<()>>,
    responses: usize,
    drain_began: Arc<OnceLock<Instant>>,
}

impl Client {
    /// Runs until the server refuses a connection, and returns the number of responses.
    fn run(mut self) -> Result<usize, Failure> {
        loop {
            let stream = match TcpStream::connect_timeout(&self.addr, TIMEOUT) {
                // A connect to a free local port may connect to itself (TCP simultaneous open).
                Ok(stream) if stream.local_addr().ok() == Some(self.addr) => {
                    return Ok(self.responses);
                }
                Ok(stream) => stream,
                Err(e)
                    if e.kind() == io::ErrorKind::ConnectionRefused
                        && self.drain_began.get().is_some() =>
                {
                    return Ok(self.responses);
                }
                Err(e) => return Err(self.failure("connect", 0, &e)),
            };
            let connected = Instant::now();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            stream.set_nodelay(true).unwrap();
            self.send_requests(&stream, connected)?;
        }
    }

    /// Sends requests on one connection, until one side closes it.
    fn send_requests(&mut self, stream: &TcpStream, connected: Instant) -> Result<(), Failure> {
        let request: &[u8] = match self.connection_use {
            ConnectionUse::KeepAlive => b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
            ConnectionUse::ConnectionPerRequest => {
                b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
            }
        };
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        for nth in 1.. {
            let at = |step: &str| format!("{step}, {:?} after its connect", connected.elapsed());
            writer
                .write_all(request)
                .map_err(|e| self.failure(at("request"), nth, &e))?;
            let last =
                read_response(&mut reader).map_err(|e| self.failure(at("response"), nth, &e))?;
            self.responses += 1;
            if self.responses >= WARM {
                self.warm = None;
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    fn failure(&self, step: impl Into<String>, nth: usize, error: &io::Error) -> Failure {
        Failure {
            step: step.into(),
            nth,
            responses: self.responses,
            since_drain: self.drain_began.get().map(Instant::elapsed),
            error: format!("{error} ({:?})", error.kind()),
        }
    }
}

/// Reads one response, and returns whether it is the last one of its connection.
fn read_response(reader: &mut impl BufRead) -> io::Result<bool> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (mut line, mut length, mut close) = (String::new(), 0, false);
    let eof = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed within a response");
    if reader.read_line(&mut line)? == 0 {
        return Err(eof());
    }
    if line != "HTTP/1.1 200 OK\r\n" {
        return Err(bad(format!("status line {line:?}")));
    }
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(eof());
        }
        let header = line.trim_end().to_ascii_lowercase();
        match header.split_once(": ") {
            None if header.is_empty() => break,
            Some(("content-length", value)) => {
                length = value.parse().map_err(|_| bad(line.clone()))?
            }
            Some(("connection", "close")) => close = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if body != b"Hello, World!" {
        return Err(bad(format!("body {body:?}")));
    }
    Ok(close)
}

/// A failure that no client may see.
struct Failure {
    step: String,
    nth: usize,
    responses: usize,
    since_drain: Option<Duration>,
    error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            nth,
            responses,
            since_drain,
            error,
        } = self;
        write!(
            f,
            "  {step} (request {nth} of its connection, {responses} responses before): {error}; drain began {since_drain:?} ago"
        )
    }
}
