//! What the tests share: a server that remembers what happened to it, and files for its
//! configuration.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Body, DrainReport, Event, Handle, Observer, Server, serve_with};
use anyport_tcp::Tcp;
use anyport_tls::{TlsConfig, TlsExt};
use http::{Request, Response};
use std::{
    fmt::Debug,
    fs,
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tower::util::ServiceFn;

/// Nothing here takes nearly so long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const HELLO: &str = "Hello";

pub(crate) type App = ServiceFn<fn(Request<Body>) -> Ready<io::Result<Response<Body>>>>;

/// Answers `Hello`, or at `/1000` so many bytes.
pub(crate) fn app() -> App {
    tower::service_fn(|request| {
        let length = request.uri().path()[1..].parse();
        let body = length.map_or_else(|_| HELLO.into(), |length| Body::from(made(length)));
        ready(Ok(Response::new(body)))
    })
}

/// What the app answers at the path of a number.
pub(crate) fn made(length: usize) -> Vec<u8> {
    (0..length)
        .map(|n| b"0123456789abcdefghijklmnopqrstuvwxy"[n % 35])
        .collect()
}

/// An HTTP/1.1 server at a free port of 127.0.0.1.
pub(crate) fn over_tcp(config: TlsConfig) -> Server {
    serve_with(Tcp::bind("127.0.0.1:0").tls(config), app())
}

/// A running server, and a runtime for it and its clients.
pub(crate) struct Served {
    pub(crate) handle: Handle,
    pub(crate) log: Log,
    runtime: Runtime,
}

impl Served {
    pub(crate) fn start(server: Server) -> Self {
        Self::start_on(server, Builder::new_multi_thread().worker_threads(2))
    }

    /// On the thread of the test, in which it only gets on while a client [runs](Self::run).
    pub(crate) fn start_here(server: Server) -> Self {
        Self::start_on(server, &mut Builder::new_current_thread())
    }

    fn start_on(server: Server, builder: &mut Builder) -> Self {
        let runtime = builder.enable_all().build().unwrap();
        let log = Log::default();
        let handle = runtime.block_on(async { server.observer(log.clone()).start().unwrap() });
        Self {
            handle,
            log,
            runtime,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.handle.endpoints()[0].socket_addr().unwrap()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Runs what a client does; it fails if that hangs.
    pub(crate) fn run<T>(&self, client: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { timeout(PATIENCE, client).await.unwrap() })
    }

    pub(crate) fn spawn<F: Future<Output: Send> + Send + 'static>(
        &self,
        client: F,
    ) -> tokio::task::JoinHandle<F::Output> {
        self.runtime.spawn(client)
    }

    /// Drains it; nobody may have to be cut off.
    pub(crate) fn ends(self) -> DrainReport {
        let report = self
            .runtime
            .block_on(self.handle.shutdown(PATIENCE))
            .unwrap();
        assert_eq!(report.aborted, 0, "{report}");
        report
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.handle.abort());
    }
}

/// Remembers what it's told.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) warnings: Vec<String>,
    pub(crate) accepted: Vec<u64>,
    pub(crate) established: Vec<u64>,
    /// The handshakes that failed, and why.
    pub(crate) failed: Vec<(u64, io::ErrorKind, String)>,
    pub(crate) closed: Vec<u64>,
}

impl Log {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the ends of so many connections.
    pub(crate) fn closed(&self, count: usize) {
        until("the connections are closed", || {
            is(count, self.told().closed.len())
        });
    }

    /// The reason of the one handshake that failed, when it has.
    pub(crate) fn one_failure(&self) -> (io::ErrorKind, String) {
        until("a handshake has failed", || {
            let failed = self.told().failed.len();
            if failed > 0 { Ok(()) } else { Err(failed) }
        });
        self.closed(1);
        let told = self.told();
        assert_eq!(
            (told.failed.len(), told.established.len()),
            (1, 0),
            "{told:?}"
        );
        assert_eq!(told.failed[0].0, told.accepted[0]);
        (told.failed[0].1, told.failed[0].2.clone())
    }
}

impl Observer for Log {
    fn on(&self, event: &Event<'_>) {
        let mut told = self.told();
        match event {
            Event::Warning { message, .. } => told.warnings.push((*message).to_owned()),
            Event::Accepted { id, .. } => told.accepted.push(*id),
            Event::Established { info } => told.established.push(info.id()),
            Event::HandshakeFailed { id, error } => {
                told.failed.push((*id, error.kind(), error.to_string()))
            }
            Event::Closed { id, .. } => told.closed.push(*id),
            _ => {}
        }
    }
}

/// A folder of a test's own.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

/// Looks again and again; an error says how things stand.
pub(crate) fn until<T, E: Debug>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let by = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(now) => assert!(
                Instant::now() < by,
                "{what}: not after {PATIENCE:?}; now {now:?}"
            ),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// For [`until`]: whether it's the number that's waited for.
pub(crate) fn is(wanted: usize, now: usize) -> Result<(), usize> {
    if now == wanted { Ok(()) } else { Err(now) }
}
