//! Ten thousand connections that disconnect while operations are in flight, over TCP. No
//! descriptor, thread or memory is leaked.
use crate::harness::{
    fixture::{GRACE, connect, descriptors, get, wait_until},
    process::{Resources, set_descriptor_limit},
};
use anyport_core::{Body, Handle, Server, Timeouts, error::BoxError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use std::{
    future::{Future, pending},
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tower_service::Service;

/// Connections that are open at a time. A process with both ends of each has enough descriptors.
const WAVE: usize = 1250;
const WAVES: usize = 8;
/// Number of waves after which the allocator has reached its size.
const WARM_UP_WAVES: usize = 4;
/// Connections that the server aborts, per state.
const ABORTED: usize = 250;
const MIB: usize = 1024 * 1024;
/// No test takes as long.
const LONG: Duration = Duration::from_secs(3600);

/// The state of a connection at the moment of the disconnect.
#[derive(Clone, Copy, Debug)]
enum ConnectionState {
    NothingSent,
    PartialHead,
    PartialUpload,
    Downloading,
    AwaitingResponse,
    Idle,
}

const STATES: [ConnectionState; 6] = [
    ConnectionState::NothingSent,
    ConnectionState::PartialHead,
    ConnectionState::PartialUpload,
    ConnectionState::Downloading,
    ConnectionState::AwaitingResponse,
    ConnectionState::Idle,
];

/// The app of the server. It counts the requests whose handler waits for the client.
#[derive(Clone, Debug)]
pub struct App {
    waiting: Arc<AtomicUsize>,
    download: Bytes,
}

impl App {
    fn new() -> Self {
        Self {
            waiting: Arc::default(),
            download: vec![7; 16 * MIB].into(),
        }
    }

    async fn respond(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        if path == "/never" || !body.is_end_stream() {
            // The first frame of an upload has arrived.
            let _begun = body.frame().await.transpose()?;
            self.waiting.fetch_add(1, SeqCst);
        }
        if path == "/never" {
            pending::<()>().await;
        }
        // Detects a client that disconnects during its upload.
        body.collect().await?;
        Ok(Response::new(match &*path {
            "/download" => self.download.into(),
            _ => "Hello".into(),
        }))
    }
}

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().respond(request))
    }
}

impl ConnectionState {
    fn enter(self, client: &mut TcpStream) {
        // A small buffer, so that the kernel does not hold the whole download.
        let socket = socket2::SockRef::from(&*client);
        socket.set_recv_buffer_size(4096).unwrap();
        let bytes = match self {
            Self::NothingSent => String::new(),
            Self::PartialHead => "GET / HTTP/1.1\r\nHo".into(),
            Self::PartialUpload => {
                let body = "x".repeat(20_000);
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{body}")
            }
            Self::Downloading => "GET /download HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::AwaitingResponse => "GET /never HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::Idle => "GET / HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        };
        client.write_all(bytes.as_bytes()).unwrap();
    }

    /// Waits until the client sees that the connection has reached this state.
    fn wait_until_reached(self, client: &mut TcpStream) {
        if let Self::Downloading | Self::Idle = self {
            let mut bytes = vec![0; 15];
            client.read_exact(&mut bytes).unwrap();
            assert_eq!(bytes, b"HTTP/1.1 200 OK");
            // The whole response is read: a close with unread bytes would reset the connection.
            while matches!(self, Self::Idle) && !bytes.ends_with(b"\r\n\r\nHello") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                bytes.extend(byte);
            }
        }
    }

    /// Whether the app counts a request in this state.
    fn is_counted_by_app(self) -> bool {
        matches!(self, Self::PartialUpload | Self::AwaitingResponse)
    }
}

/// Disconnects ten thousand connections of a server, in every state, half of them by a reset. Then
/// aborts servers that have connections in each state. `leaked` is the number of descriptors that
/// one ended server is known to leave open.
///
/// # Panics
///
/// More than that remains: a descriptor, a thread, or growing memory.
pub async fn ten_thousand_connections(serve: impl Fn(App) -> Server, leaked: usize) {
    // Both ends of each connection, and some for the rest of the process.
    set_descriptor_limit(2 * WAVE as u64 + 500);
    let at_first = descriptors();
    let (handle, app) = start(&serve);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    // The timer of a worker opens descriptors of its own once a timeout runs.
    let first = connect(&handle);
    wait_until("the timeout of the first connection runs", || {
        handle.connections() == 1
    });
    settle();
    drop(first);
    wait_until("the first connection has ended", || {
        handle.connections() == 0
    });
    settle();
    let before = Resources::now();
    let mut warm = before;
    for wave in 1..=WAVES {
        let all = STATES.into_iter().cycle().take(WAVE);
        for (n, client) in clients_in(&handle, &app, all).into_iter().enumerate() {
            // Each of the six states is disconnected in both ways.
            disconnect(&client, (n / STATES.len()).is_multiple_of(2));
        }
        wait_until("all disconnected connections are dropped", || {
            handle.connections() == 0
        });
        wait_until("the descriptors of all connections are closed", || {
            descriptors() <= before.descriptors
        });
        if wave == WARM_UP_WAVES {
            warm = Resources::now();
        }
    }
    let after = Resources::now();
    println!("{before:?} before, {warm:?} when warm, {after:?} after");
    assert!(
        after.threads <= before.threads && after.memory <= warm.memory + 8 * MIB,
        "expected no more threads than before and memory within 8 MiB of the warm-up; \
         before: {before:?}, after the warm-up: {warm:?}, at the end: {after:?}"
    );

    for (ended, state) in STATES.into_iter().enumerate() {
        let (aborted, app) = start(&serve);
        let clients = clients_in(&aborted, &app, std::iter::repeat_n(state, ABORTED));
        aborted.abort().await.unwrap();
        drop(clients);
        let limit = before.descriptors + (ended + 1) * leaked;
        wait_until(
            &format!("descriptors are closed after an abort in state {state:?}"),
            || descriptors() <= limit,
        );
    }
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    handle.shutdown(GRACE).await.unwrap();
    // For example, a ring stays open while the kernel uses one of its buffers.
    let limit = at_first + (STATES.len() + 1) * leaked;
    wait_until("the server's own descriptors are closed", || {
        descriptors() <= limit
    });
}

fn start(serve: impl Fn(App) -> Server) -> (Handle, App) {
    let app = App::new();
    // On a busy machine, it takes a while until all clients have reached their states.
    let timeouts = Timeouts::default()
        .with_head(LONG)
        .with_keep_alive(LONG)
        .with_body_gap(LONG)
        .with_write_stall(LONG);
    let server = serve(app.clone()).timeouts(timeouts);
    (server.start().unwrap(), app)
}

/// Waits until the number of descriptors is constant for a while, because a worker may still be
/// closing or reopening one.
fn settle() {
    let (mut last, mut since) = (descriptors(), Instant::now());
    wait_until("the number of descriptors stays the same", || {
        let now = descriptors();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= Duration::from_millis(500)
    });
}

/// Clients whose connections have reached these states.
fn clients_in(
    handle: &Handle,
    app: &App,
    state: impl Iterator<Item = ConnectionState>,
) -> Vec<TcpStream> {
    app.waiting.store(0, SeqCst);
    let mut clients: Vec<_> = state.map(|state| (state, connect(handle))).collect();
    for (state, client) in &mut clients {
        state.enter(client);
    }
    wait_until("all clients are accepted", || {
        handle.connections() == clients.len()
    });
    for (state, client) in &mut clients {
        state.wait_until_reached(client);
    }
    let expected = clients
        .iter()
        .filter(|(state, _)| state.is_counted_by_app())
        .count();
    wait_until("all requests wait for their clients", || {
        app.waiting.load(SeqCst) == expected
    });
    clients.into_iter().map(|(_, client)| client).collect()
}

/// Disconnects a client that is about to be dropped: by a reset, or by a FIN.
fn disconnect(client: &TcpStream, by_reset: bool) {
    let socket = socket2::SockRef::from(client);
    match by_reset {
        true => socket.set_linger(Some(Duration::ZERO)).unwrap(),
        // Part of a download is unread, so that closing the socket would send no FIN.
        false => client.shutdown(Shutdown::Write).unwrap(),
    }
}
