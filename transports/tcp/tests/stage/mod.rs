//! A server on either kind of tokio, and nothing beside it: what these tests measure is the
//! process's.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::scene::{GRACE, PATIENCE, addr_of, connect};
use anyport_core::{Body, BoxError, Handle, ServedOver, Server, serve_with};
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

static ALONE: Mutex<()> = Mutex::new(());

/// What the app of most tests answers.
pub(crate) const HELLO: &str = "Hello";

/// Which tokio the server runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
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

/// A running server. Its fields are dropped in their order: when the next test begins, nothing is
/// left of this one.
pub(crate) struct Stage {
    pub(crate) handle: Handle,
    runtime: Runtime,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    pub(crate) fn serve<A>(on: On, app: A, configure: impl FnOnce(Server) -> Server) -> Self
    where
        A: ServedOver<Tcp> + ServedOver<TcpPerCore>,
    {
        Self::start(|| {
            configure(match on {
                On::Ambient => serve_with(ambient(), app),
                On::PerCore => serve_with(per_core(), app),
            })
        })
    }

    pub(crate) fn start(server: impl FnOnce() -> Server) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.block_on(async { server().start().unwrap() });
        Self {
            handle,
            runtime,
            _alone: alone,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        addr_of(&self.handle)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(connect(self.addr()).unwrap())
    }

    /// Until this many connections are open. A listener that's just being polled holds a permit for
    /// a moment, so one look could be wrong.
    pub(crate) fn settles(&self, connections: usize) {
        let mut right = 0;
        until("the connections settle", || {
            let open = self.handle.connections();
            right = if open == connections { right + 1 } else { 0 };
            if right == 3 { Ok(()) } else { Err(open) }
        });
    }

    /// Nobody is there any more, so a drain takes no time.
    pub(crate) fn ends(self) {
        self.settles(0);
        let report = self.runtime.block_on(self.handle.shutdown(GRACE)).unwrap();
        assert_eq!((report.completed, report.aborted), (0, 0));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.handle.abort());
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

/// A connection that makes requests one after the other.
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
        self.answer()
    }

    /// The body of a whole answer of status 200.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let length = self.head()?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Reads the head of an answer of status 200; how long its body is.
    pub(crate) fn head(&mut self) -> io::Result<usize> {
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

    /// Closes it so that the peer gets a reset, whatever was under way (SO_LINGER of zero,
    /// socket(7)).
    pub(crate) fn reset(self) {
        let stream = self.0.into_inner();
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.unwrap();
    }
}

/// A body of so many bytes, each piece of which is made when it's asked for.
pub(crate) struct Made(pub(crate) u64);

impl Made {
    const PIECE: u64 = 64 * 1024;

    pub(crate) fn body(self) -> Body {
        Body::new(self)
    }
}

impl HttpBody for Made {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let n = self.0.min(Self::PIECE);
        if n == 0 {
            return Poll::Ready(None);
        }
        self.0 -= n;
        let piece = vec![b'x'; usize::try_from(n)?];
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0)
    }
}
