//! A server on either kind of tokio. Only one runs at a time, because the tests measure their
//! process.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::fixture::{GRACE, TIMEOUT, addr_of, connect};
use anyport_core::{Body, Handle, Server, bounds::AppOver, error::BoxError, serve_with};
use anyport_tcp::{Tcp, TcpPerCore};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use std::{
    fmt::Debug,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

static SERIAL: Mutex<()> = Mutex::new(());

pub(crate) const HELLO: &str = "Hello";

/// Which tokio the server runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokioFlavor {
    Ambient,
    /// Two workers with threads of their own.
    PerCore,
}

pub(crate) fn ambient() -> Tcp {
    Tcp::bind("127.0.0.1:0")
}

pub(crate) fn per_core() -> TcpPerCore {
    ambient().per_core().with_workers(2)
}

/// A running server. Its fields are dropped in order, so nothing of it remains when the next test
/// begins.
pub(crate) struct TestServer {
    pub(crate) handle: Handle,
    runtime: Runtime,
    _serial: MutexGuard<'static, ()>,
}

impl TestServer {
    pub(crate) fn serve<A>(
        flavor: TokioFlavor,
        app: A,
        configure: impl FnOnce(Server) -> Server,
    ) -> Self
    where
        A: AppOver<Tcp> + AppOver<TcpPerCore>,
    {
        Self::start(|| {
            configure(match flavor {
                TokioFlavor::Ambient => serve_with(ambient(), app),
                TokioFlavor::PerCore => serve_with(per_core(), app),
            })
        })
    }

    pub(crate) fn start(server: impl FnOnce() -> Server) -> Self {
        let serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.block_on(async { server().start().unwrap() });
        Self {
            handle,
            runtime,
            _serial: serial,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        addr_of(&self.handle)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(connect(self.addr()).unwrap())
    }

    /// Waits until this many connections are open. A listener that is being polled holds a permit
    /// for a moment, so one check could be wrong.
    pub(crate) fn wait_for_connections(&self, connections: usize) {
        let mut stable = 0;
        wait_until("the number of connections is reached", || {
            let open = self.handle.connections();
            stable = if open == connections { stable + 1 } else { 0 };
            if stable == 3 { Ok(()) } else { Err(open) }
        });
    }

    /// Shuts the server down when no connection is left. The drain then takes no time.
    pub(crate) fn shut_down(self) {
        self.wait_for_connections(0);
        let report = self.runtime.block_on(self.handle.shutdown(GRACE)).unwrap();
        assert_eq!((report.completed, report.aborted), (0, 0));
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.handle.abort());
    }
}

/// Checks repeatedly; an error describes the current state.
pub(crate) fn wait_until<T, E: Debug>(what: &str, mut check: impl FnMut() -> Result<T, E>) -> T {
    let by = Instant::now() + TIMEOUT;
    loop {
        match check() {
            Ok(found) => return found,
            Err(now) => assert!(
                Instant::now() < by,
                "{what}: not after {TIMEOUT:?}; now {now:?}"
            ),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the expected number is reached, for [`wait_until`].
pub(crate) fn equals(expected: usize, now: usize) -> Result<(), usize> {
    if now == expected { Ok(()) } else { Err(now) }
}

/// A connection that sends one request after another.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<String> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))?;
        self.read_body()
    }

    /// Reads a whole response of status 200, and returns its body.
    pub(crate) fn read_body(&mut self) -> io::Result<String> {
        let length = self.read_head()?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Reads the head of a response of status 200, and returns the length of its body.
    pub(crate) fn read_head(&mut self) -> io::Result<usize> {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let lower = line.to_ascii_lowercase();
            if line.starts_with("HTTP/") && !line.contains(" 200 ") {
                return Err(io::Error::new(io::ErrorKind::InvalidData, line));
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        Ok(length)
    }

    /// Closes the connection with a TCP RST (SO_LINGER of zero, socket(7)).
    pub(crate) fn reset(self) {
        let stream = self.0.into_inner();
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.unwrap();
    }
}

/// A body of this many bytes. Each chunk is generated when it is polled.
pub(crate) struct GeneratedBody(pub(crate) u64);

impl GeneratedBody {
    const CHUNK: u64 = 64 * 1024;

    pub(crate) fn body(self) -> Body {
        Body::new(self)
    }
}

impl HttpBody for GeneratedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let n = self.0.min(Self::CHUNK);
        if n == 0 {
            return Poll::Ready(None);
        }
        self.0 -= n;
        let chunk = vec![b'x'; usize::try_from(n)?];
        Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}
