//! Clients that request much, read nothing, and stay or leave, over TCP: what is kept for them
//! counts against the limits.
use crate::harness::{
    process::Process,
    scene::{GRACE, PATIENCE, addr_of},
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

/// So many clients are served at a time.
const LIMIT: usize = 20;
/// What a server may have beside that: a connection that's refused or about to be accepted, a
/// clock's descriptor that's made anew.
const FEW: usize = 8;
const KIB: usize = 1024;

/// How a client behaves that reads nothing.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It ends its sending half, and stays.
    HalfCloses,
    /// As before, after a thousand requests for little.
    HalfClosesBehindMany,
    /// It stays as it is.
    Stalls,
    Closes,
    Resets,
}

impl Manner {
    fn said(self) -> String {
        match self {
            Self::HalfClosesBehindMany => "GET /little HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1000),
            _ => "GET /endless HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        }
    }

    /// How many clients there are. Those that hold out until they've stalled for long enough are
    /// fewer.
    fn clients(self) -> usize {
        match self {
            Self::HalfCloses | Self::HalfClosesBehindMany | Self::Stalls => 2 * LIMIT,
            Self::Closes | Self::Resets => 10 * LIMIT,
        }
    }

    fn begin(self, addr: SocketAddr) -> Option<TcpStream> {
        let mut client = connect(addr);
        // So that it isn't the client's kernel that takes everything.
        let socket = socket2::SockRef::from(&client);
        socket.set_recv_buffer_size(4096).unwrap();
        if matches!(self, Self::Resets) {
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        client.write_all(self.said().as_bytes()).unwrap();
        match self {
            Self::HalfCloses | Self::HalfClosesBehindMany => {
                client.shutdown(Shutdown::Write).unwrap()
            }
            Self::Stalls => {}
            Self::Closes | Self::Resets => return None,
        }
        Some(client)
    }
}

/// The app of a server whose clients don't read.
#[derive(Clone, Copy, Debug)]
pub struct App(());

/// A piece, so many times.
#[derive(Debug)]
pub struct Pieces(Bytes, usize);

impl Service<Request<Body>> for App {
    type Response = Response<Pieces>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let body = match request.uri().path() {
            "/endless" => Pieces(vec![7; 100 * KIB].into(), usize::MAX),
            "/little" => Pieces(vec![7; 10 * KIB].into(), 1),
            _ => Pieces(Bytes::from_static(b"Hello"), 1),
        };
        ready(Ok(Response::new(body)))
    }
}

impl hyper::body::Body for Pieces {
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

/// What the server's process has at the most.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    descriptors: usize,
    threads: usize,
    /// Threads that the kernel lends to a ring for operations that sleep.
    kernels: usize,
}

impl Most {
    fn look(&mut self, server: &Process) {
        let tasks = fs::read_dir(server.proc("task")).unwrap();
        // One that ends meanwhile has no name any more.
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        let (kernels, threads): (Vec<_>, Vec<_>) =
            names.partition(|name| name.starts_with("iou-wrk"));
        let descriptors = fs::read_dir(server.proc("fd")).unwrap().count();
        self.descriptors = self.descriptors.max(descriptors);
        self.threads = self.threads.max(threads.len());
        self.kernels = self.kernels.max(kernels.len());
    }
}

/// Has a server meet clients that read nothing, more than it serves at a time, in each manner that
/// such a client may have; `test` is the name of the test.
///
/// # Panics
///
/// Its process has more than a few descriptors beyond its limit, or threads, or somebody who comes
/// after them isn't served.
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
            // Until the test closes it. Its thread is counted from the beginning.
            let stdin = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
            say(&addr_of(&handle).to_string());
            stdin.await.unwrap().unwrap();
            handle.shutdown(GRACE).await.unwrap();
            say("drained");
        });
    });
    let Some(mut server) = server else { return };
    let addr = server.said().next().unwrap().parse().unwrap();
    ask(addr);
    let mut before = Most::default();
    before.look(&server);
    for manner in [
        Manner::HalfCloses,
        Manner::HalfClosesBehindMany,
        Manner::Stalls,
        Manner::Closes,
        Manner::Resets,
    ] {
        let mut most = Most::default();
        let mut clients = Vec::new();
        for _ in 0..manner.clients() {
            clients.extend(manner.begin(addr));
            most.look(&server);
        }
        // Whoever comes last is served when all others have been.
        let next = thread::spawn(move || ask(addr));
        while !next.is_finished() {
            most.look(&server);
            thread::yield_now();
        }
        let is_served = next.join().is_ok();
        println!("{manner:?}: {most:?}, {before:?} before");
        assert!(
            is_served
                && most.descriptors <= before.descriptors + LIMIT + FEW
                && most.threads <= before.threads
                && most.kernels == 0,
            "{manner:?}: {most:?}, {before:?} before"
        );
    }
    drop(server.child.stdin.take());
    assert_eq!(server.said().next().unwrap(), "drained");
    assert!(server.child.wait().unwrap().success());
}

fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect_timeout(&addr, PATIENCE).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Asks, and is answered.
fn ask(addr: SocketAddr) {
    let mut client = connect(addr);
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    // In chunks, since the app doesn't say how long it is.
    let is_hello =
        response.starts_with("HTTP/1.1 200 OK") && response.contains("\r\n5\r\nHello\r\n0\r\n\r\n");
    assert!(is_hello, "{response}");
}
