//! A drain under load: a client that honours `Connection: close` never sees a failure.
//!
//! The one thing that may become of it is that a *connect* is refused, once the listening sockets
//! are closed. Whoever got a connection and sent a request on it, gets the answer.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Body, DrainReport, Handle, Server, serve_with};
use anyport_tcp::Tcp;
use anyport_testkit::scene::in_lanes;
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

/// All of them in lanes, since most of a drain's time is the lame duck stage.
const LANES: usize = 5;
const ROUNDS: usize = 2;
const CLIENTS: usize = 16;
/// Longer than anything here takes.
const GRACE: Duration = Duration::from_secs(20);
/// So many answers each client has had before the drain begins.
const WARM: usize = 20;
/// A client that waits for longer has lost something.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a client uses its connections.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// One request after the other on one connection, until it's told to close it.
    KeepAlive,
    /// A connection for each request, which says `Connection: close`.
    ConnectionPerRequest,
}

#[test]
fn a_drain_on_the_ambient_tokio_fails_no_client_that_keeps_its_connection() {
    in_lanes(LANES, |_| rounds(Habit::KeepAlive, ambient));
}

#[test]
fn a_drain_on_the_ambient_tokio_fails_no_client_that_reconnects_for_each_request() {
    in_lanes(LANES, |_| rounds(Habit::ConnectionPerRequest, ambient));
}

#[test]
fn a_drain_of_two_workers_fails_no_client_that_keeps_its_connection() {
    in_lanes(LANES, |_| rounds(Habit::KeepAlive, two_workers));
}

#[test]
fn a_drain_of_two_workers_fails_no_client_that_reconnects_for_each_request() {
    in_lanes(LANES, |_| rounds(Habit::ConnectionPerRequest, two_workers));
}

fn ambient() -> Server {
    serve_with(Tcp::bind("127.0.0.1:0"), service_fn(answer))
}

fn two_workers() -> Server {
    serve_with(
        Tcp::bind("127.0.0.1:0").per_core().with_workers(2),
        service_fn(answer),
    )
}

async fn answer(_: Request<Body>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("Hello, World!".into()))
}

async fn rounds(habit: Habit, server: impl Fn() -> Server) {
    for round in 1..=ROUNDS {
        let (report, clients) = drained_under_load(server().start().unwrap(), habit).await;
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

/// Lets the clients in, drains the server when all are busy, and waits for their ends.
async fn drained_under_load(
    handle: Handle,
    habit: Habit,
) -> (DrainReport, Vec<Result<usize, Failure>>) {
    let addr = handle.endpoints()[0].socket_addr().unwrap();
    let drain_began = Arc::new(OnceLock::new());
    let (warm, all_warm) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = Client {
                addr,
                habit,
                warm: Some(warm.clone()),
                answers: 0,
                drain_began: Arc::clone(&drain_began),
            };
            thread::spawn(move || client.run())
        })
        .collect();
    drop(warm);
    // A client that failed already doesn't report; then there are fewer.
    while all_warm.recv().is_ok() {}
    drain_began.set(Instant::now()).unwrap();
    let report = handle.shutdown(GRACE).await.unwrap();
    let ends = clients.into_iter().map(|client| client.join().unwrap());
    (report, ends.collect())
}

struct Client {
    addr: SocketAddr,
    habit: Habit,
    /// Dropped when it has had enough answers for the drain to begin.
    warm: Option<Sender<()>>,
    answers: usize,
    drain_began: Arc<OnceLock<Instant>>,
}

impl Client {
    /// Until the server refuses a connection; how many answers it has had.
    fn run(mut self) -> Result<usize, Failure> {
        loop {
            let stream = match TcpStream::connect_timeout(&self.addr, PATIENCE) {
                // A connect to a free port of the own machine may meet itself.
                Ok(stream) if stream.local_addr().ok() == Some(self.addr) => {
                    return Ok(self.answers);
                }
                Ok(stream) => stream,
                Err(e)
                    if e.kind() == io::ErrorKind::ConnectionRefused
                        && self.drain_began.get().is_some() =>
                {
                    return Ok(self.answers);
                }
                Err(e) => return Err(self.failure("connect", 0, &e)),
            };
            let connected = Instant::now();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_nodelay(true).unwrap();
            self.talk(&stream, connected)?;
        }
    }

    /// Requests on one connection, until one of the two closes it.
    fn talk(&mut self, stream: &TcpStream, connected: Instant) -> Result<(), Failure> {
        let request: &[u8] = match self.habit {
            Habit::KeepAlive => b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
            Habit::ConnectionPerRequest => {
                b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
            }
        };
        let (mut reader, mut writer) = (BufReader::new(stream), stream);
        for nth in 1.. {
            let at = |step: &str| format!("{step}, {:?} after its connect", connected.elapsed());
            writer
                .write_all(request)
                .map_err(|e| self.failure(at("request"), nth, &e))?;
            let last = read_answer(&mut reader).map_err(|e| self.failure(at("answer"), nth, &e))?;
            self.answers += 1;
            if self.answers >= WARM {
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
            answers: self.answers,
            since_drain: self.drain_began.get().map(Instant::elapsed),
            error: format!("{error} ({:?})", error.kind()),
        }
    }
}

/// Reads one response; whether it's the last one of its connection.
fn read_answer(reader: &mut impl BufRead) -> io::Result<bool> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let (mut line, mut length, mut close) = (String::new(), 0, false);
    let eof = || {
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "closed without a whole answer",
        )
    };
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

/// What a client must never see.
struct Failure {
    step: String,
    nth: usize,
    answers: usize,
    since_drain: Option<Duration>,
    error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            step,
            nth,
            answers,
            since_drain,
            error,
        } = self;
        write!(
            f,
            "  {step} (request {nth} of its connection, {answers} answers before): {error}; drain began {since_drain:?} ago"
        )
    }
}
