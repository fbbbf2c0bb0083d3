//! Clients that request much and read nothing, over TCP. All resources that the server keeps for
//! them count against its limits.
use crate::harness::{
    fixture::{GRACE, TIMEOUT, addr_of},
    process::Process,
};
use anyport_core::{Body, Limits, Server, Timeouts};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Frame;
use std::{
    convert::Infallible,
    fs,
    future::{Ready, ready},
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tower_service::Service;

/// The connection limit of the server.
const LIMIT: usize = 20;
/// Descriptors that the server may have beyond the limit: a connection that is being refused or
/// accepted, and a timer that is being reopened.
const MARGIN: usize = 8;
const KIB: usize = 1024;

/// How a client behaves that reads nothing.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Sends FIN, and keeps the connection open.
    HalfCloses,
    /// Does the same as `HalfCloses`, after a thousand requests for small responses.
    PipelinesThenHalfCloses,
    /// Keeps the connection open.
    Stalls,
    Closes,
    Resets,
}

impl Behaviour {
    fn request(self) -> String {
        match self {
            Self::PipelinesThenHalfCloses => {
                "GET /small HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000)
            }
            _ => "GET /endless HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        }
    }

    /// Number of clients. Those whose connections last until the write-stall timeout are fewer.
    fn clients(self) -> usize {
        match self {
            Self::HalfCloses | Self::PipelinesThenHalfCloses | Self::Stalls => 2 * LIMIT,
            Self::Closes | Self::Resets => 10 * LIMIT,
        }
    }

    fn begin(self, addr: SocketAddr) -> Option<TcpStream> {
        let mut client = connect(addr);
        // A small buffer, so that the client's kernel does not take the whole response.
        let socket = socket2::SockRef::from(&client);
        socket.set_recv_buffer_size(4096).unwrap();
        if matches!(self, Self::Resets) {
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        client.write_all(self.request().as_bytes()).unwrap();
        match self {
            Self::HalfCloses | Self::PipelinesThenHalfCloses => {
                client.shutdown(Shutdown::Write).unwrap()
            }
            Self::Stalls => {}
            Self::Closes | Self::Resets => return None,
        }
        Some(client)
    }
}

/// The app of a server whose clients do not read.
#[derive(Clone, Copy, Debug)]
pub struct App(());

/// A frame, repeated this many times.
#[derive(Debug)]
pub struct Repeated(Bytes, usize);

impl Service<Request<Body>> for App {
    type Response = Response<Repeated>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let body = match request.uri().path() {
            "/endless" => Repeated(vec![7; 100 * KIB].into(), usize::MAX),
            "/small" => Repeated(vec![7; 10 * KIB].into(), 1),
            _ => Repeated(Bytes::from_static(b"Hello"), 1),
        };
        ready(Ok(Response::new(body)))
    }
}

impl hyper::body::Body for Repeated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let left = self.1.checked_sub(1);
        let frame = left.map(|left| {
            self.1 = left;
            Ok(Frame::data(self.0.clone()))
        });
        Poll::Ready(frame)
    }
}

/// Peak numbers of the server's process.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    descriptors: usize,
    threads: usize,
    /// The kernel's io_uring workers, which run operations that block.
    uring_workers: usize,
}

impl Peak {
    fn update(&mut self, server: &Process) {
        let tasks = fs::read_dir(server.proc("task")).unwrap();
        // A thread that has just ended has no name.
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        let (uring_workers, threads): (Vec<_>, Vec<_>) =
            names.partition(|name| name.starts_with("iou-wrk"));
        let descriptors = fs::read_dir(server.proc("fd")).unwrap().count();
        self.descriptors = self.descriptors.max(descriptors);
        self.threads = self.threads.max(threads.len());
        self.uring_workers = self.uring_workers.max(uring_workers.len());
    }
}

/// Connects more clients that read nothing than the server serves at a time, with each behaviour.
/// `test` is the name of the test.
///
/// # Panics
///
/// The server exceeds its limit by more than a few descriptors, starts threads, or does not serve
/// the next client.
pub fn clients_that_read_nothing(test: &str, serve: impl FnOnce(App) -> Server) {
    let server = Process::start(test, |say| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        runtime.unwrap().block_on(async {
            let server = serve(App(()))
                .limits(Limits::default().with_connections(LIMIT))
                .timeouts(Timeouts::default().with_write_stall(Duration::from_secs(1)));
            let handle = server.start().unwrap();
            // Runs until the test closes it. The thread that reads is started before threads are
            // counted.
            let stdin = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
            say(&addr_of(&handle).to_string());
            stdin.await.unwrap().unwrap();
            handle.shutdown(GRACE).await.unwrap();
            say("drained");
        });
    });
    let Some(mut server) = server else { return };
    let addr = server.lines().next().unwrap().parse().unwrap();
    request(addr);
    let mut before = Peak::default();
    before.update(&server);
    for behaviour in [
        Behaviour::HalfCloses,
        Behaviour::PipelinesThenHalfCloses,
        Behaviour::Stalls,
        Behaviour::Closes,
        Behaviour::Resets,
    ] {
        let mut peak = Peak::default();
        let mut clients = Vec::new();
        for _ in 0..behaviour.clients() {
            clients.extend(behaviour.begin(addr));
            peak.update(&server);
        }
        // The last client is served once all earlier connections have ended.
        let next = thread::spawn(move || request(addr));
        while !next.is_finished() {
            peak.update(&server);
            thread::yield_now();
        }
        let is_served = next.join().is_ok();
        println!("{behaviour:?}: {peak:?}, {before:?} before");
        assert!(
            is_served
                && peak.descriptors <= before.descriptors + LIMIT + MARGIN
                && peak.threads <= before.threads
                && peak.uring_workers == 0,
            "clients that read nothing ({behaviour:?}): expected at most {} descriptors, {} threads, no \
             io_uring worker and a response for the next client; got {peak:?}, served: {is_served}",
            before.descriptors + LIMIT + MARGIN,
            before.threads
        );
    }
    drop(server.child.stdin.take());
    assert_eq!(server.lines().next().unwrap(), "drained");
    assert!(server.child.wait().unwrap().success());
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect_timeout(&addr, TIMEOUT).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.set_write_timeout(Some(TIMEOUT)).unwrap();
    client
}

/// Sends a request and expects the response.
fn request(addr: SocketAddr) {
    let mut client = connect(addr);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    // The body is chunked, because the app declares no length.
    let is_hello =
        response.starts_with("HTTP/1.1 200 OK") && response.contains("\r\n5\r\nHello\r\n0\r\n\r\n");
    assert!(is_hello, "{response}");
}
