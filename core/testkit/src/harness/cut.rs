//! Ten thousand connections that are cut while operations are in flight, over TCP: they leave
//! nothing behind.
use crate::harness::{
    process::{Held, allow_descriptors},
    scene::{GRACE, connect, descriptors, get, until},
};
use anyport_core::{Body, BoxError, Handle, Server};
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

/// So many are open at a time: a process that has both ends of each has enough descriptors.
const WAVE: usize = 1250;
const WAVES: usize = 8;
/// After so many, the allocator has what it needs.
const WARM: usize = 4;
/// So many are cut by the server.
const ABORTED: usize = 250;
const MIB: usize = 1024 * 1024;

/// What a connection is in the middle of.
#[derive(Clone, Copy, Debug)]
enum Amid {
    /// Its first byte.
    Silence,
    Head,
    Upload,
    Download,
    Answer,
    /// Its next request.
    Nap,
}

const ALL: [Amid; 6] = [
    Amid::Silence,
    Amid::Head,
    Amid::Upload,
    Amid::Download,
    Amid::Answer,
    Amid::Nap,
];

/// The app of a server whose connections are cut: it tells when a request has come so far that its
/// client has to wait.
#[derive(Clone, Debug)]
pub struct App {
    stuck: Arc<AtomicUsize>,
    much: Bytes,
}

impl App {
    fn new() -> Self {
        Self {
            stuck: Arc::default(),
            much: vec![7; 16 * MIB].into(),
        }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        if path == "/never" || !body.is_end_stream() {
            // Of an upload, the beginning is there.
            let _begun = body.frame().await.transpose()?;
            self.stuck.fetch_add(1, SeqCst);
        }
        if path == "/never" {
            pending::<()>().await;
        }
        // Whoever leaves in the middle of it, is noticed.
        body.collect().await?;
        Ok(Response::new(match &*path {
            "/much" => self.much.into(),
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
        Box::pin(self.clone().answer(request))
    }
}

impl Amid {
    fn begin(self, client: &mut TcpStream) {
        // So that a download doesn't fit into what the kernel keeps of it.
        let socket = socket2::SockRef::from(&*client);
        socket.set_recv_buffer_size(4096).unwrap();
        let said = match self {
            Self::Silence => String::new(),
            Self::Head => "GET / HTTP/1.1\r\nHo".into(),
            Self::Upload => {
                let body = "x".repeat(20_000);
                format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n{body}")
            }
            Self::Download => "GET /much HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::Answer => "GET /never HTTP/1.1\r\nHost: test\r\n\r\n".into(),
            Self::Nap => "GET / HTTP/1.1\r\nHost: test\r\n\r\n".into(),
        };
        client.write_all(said.as_bytes()).unwrap();
    }

    /// Waits until it's in the middle of it, as far as its client sees.
    fn is_begun(self, client: &mut TcpStream) {
        if let Self::Download | Self::Nap = self {
            let mut said = vec![0; 15];
            client.read_exact(&mut said).unwrap();
            assert_eq!(said, b"HTTP/1.1 200 OK");
            // What's left unread when it's closed, makes a reset of that.
            while matches!(self, Self::Nap) && !said.ends_with(b"\r\n\r\nHello") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                said.extend(byte);
            }
        }
    }

    /// Whether the app knows when it's in the middle of it.
    fn is_told(self) -> bool {
        matches!(self, Self::Upload | Self::Answer)
    }
}

/// Cuts ten thousand connections of a server, in every state that one can be in, half of them by a
/// reset; then has servers cut their connections themselves. `keeps`: how many descriptors a server
/// leaves that has ended, although it shouldn't.
///
/// # Panics
///
/// More stays than that: a descriptor, a thread, or memory that grows.
pub async fn ten_thousand_connections(serve: impl Fn(App) -> Server, keeps: usize) {
    // Both ends of each, and what else there is.
    allow_descriptors(2 * WAVE as u64 + 500);
    let at_first = descriptors();
    let (handle, app) = start(&serve);
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    // A worker's clock has descriptors of its own once there's a deadline.
    let silent = connect(&handle);
    until("a deadline runs", || handle.connections() == 1);
    settle();
    drop(silent);
    until("the first are gone", || handle.connections() == 0);
    settle();
    let before = Held::now();
    let mut warm = before;
    for wave in 1..=WAVES {
        let all = ALL.into_iter().cycle().take(WAVE);
        for (n, client) in begin(&handle, &app, all).into_iter().enumerate() {
            // Six kinds, each cut in both ways.
            cut(&client, (n / ALL.len()).is_multiple_of(2));
        }
        until("all are dropped", || handle.connections() == 0);
        until("all are closed", || descriptors() <= before.descriptors);
        if wave == WARM {
            warm = Held::now();
        }
    }
    let after = Held::now();
    println!("{before:?} before, {warm:?} when warm, {after:?} after");
    assert!(
        after.threads <= before.threads && after.memory <= warm.memory + 8 * MIB,
        "{before:?} before, {warm:?} when warm, {after:?} after"
    );

    for (ended, amid) in ALL.into_iter().enumerate() {
        let (aborted, app) = start(&serve);
        let clients = begin(&aborted, &app, std::iter::repeat_n(amid, ABORTED));
        aborted.abort().await.unwrap();
        drop(clients);
        let left = before.descriptors + (ended + 1) * keeps;
        until(&format!("aborted amid {amid:?}"), || descriptors() <= left);
    }
    assert_eq!(get(&handle, "/").unwrap(), "Hello");
    handle.shutdown(GRACE).await.unwrap();
    // A ring that's still using a buffer isn't closed, for one.
    let left = at_first + (ALL.len() + 1) * keeps;
    until("the server's own descriptors are closed", || {
        descriptors() <= left
    });
}

fn start(serve: impl Fn(App) -> Server) -> (Handle, App) {
    let app = App::new();
    (serve(app.clone()).start().unwrap(), app)
}

/// Waits until the number of descriptors stays the same for a while: a worker may be about to close
/// one, or to make one anew.
fn settle() {
    let (mut last, mut since) = (descriptors(), Instant::now());
    until("the number of descriptors stays the same", || {
        let now = descriptors();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() >= Duration::from_millis(500)
    });
}

/// Clients that are in the middle of it.
fn begin(handle: &Handle, app: &App, amid: impl Iterator<Item = Amid>) -> Vec<TcpStream> {
    app.stuck.store(0, SeqCst);
    let mut clients: Vec<_> = amid.map(|amid| (amid, connect(handle))).collect();
    for (amid, client) in &mut clients {
        amid.begin(client);
    }
    until("all are accepted", || handle.connections() == clients.len());
    for (amid, client) in &mut clients {
        amid.is_begun(client);
    }
    let told = clients.iter().filter(|(amid, _)| amid.is_told()).count();
    until("all are in the middle of it", || {
        app.stuck.load(SeqCst) == told
    });
    clients.into_iter().map(|(_, client)| client).collect()
}

/// Has a client that's about to be dropped leave by a reset, or as usual: by the end of what it
/// says.
fn cut(client: &TcpStream, by_reset: bool) {
    let socket = socket2::SockRef::from(client);
    match by_reset {
        true => socket.set_linger(Some(Duration::ZERO)).unwrap(),
        // Of a download something is unread, and closing the socket sends no end.
        false => client.shutdown(Shutdown::Write).unwrap(),
    }
}
