//! A custom runtime gets TCP and Unix sockets from a stream type and a way to wait for clients.
//!
//! Besides [`CustomRuntime`] itself, it needs only [`CustomAcceptor`] and one type alias for each
//! of the two.
use crate::fixture::{GRACE, TIMEOUT, get, hello, port_of};
use anyport_core::{
    ConnInfo, Result, Runtime,
    runtime::{Launch, SharedTimer, Start, TokioPerCore, Worker, Workers},
    serve_with,
    socket::{
        Acceptor, ReadinessTcpListener, ReadinessUnixListener, TcpTransport, unix::UnixTransport,
    },
    transport::Conn,
};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use std::{
    io,
    io::{Read, Write},
    net,
    os::{fd::BorrowedFd, unix},
    task::{Context, Poll, ready},
};
use tokio::{
    io::Interest,
    net::{TcpStream, UnixStream},
};

type CustomTcp = TcpTransport<CustomRuntime, ReadinessTcpListener<CustomAcceptor>>;
type CustomUnix = UnixTransport<CustomRuntime, ReadinessUnixListener<CustomAcceptor>>;

/// A thread per worker, with tokio's reactor.
#[derive(Clone)]
struct CustomRuntime(TokioPerCore);

impl Runtime for CustomRuntime {
    const WORKERS: Workers = Workers::PerCore;
    const IS_TOKIO: bool = true;

    fn current() -> Self {
        Self(TokioPerCore::current())
    }

    fn timer(&self) -> SharedTimer {
        self.0.timer()
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for CustomRuntime {
    fn execute(&self, future: F) {
        self.0.execute(future);
    }
}

impl<F: Future<Output = ()> + 'static> Launch<F> for CustomRuntime {
    fn launch(start: Start<F>) -> Result<()> {
        TokioPerCore::launch(start)
    }
}

struct CustomAcceptor {
    /// Nothing is read from this stream: tokio reports when the listening socket is readable.
    socket: UnixStream,
    is_waiting: bool,
}

impl Acceptor for CustomAcceptor {
    type Driver = ();
    type Tcp = Conn<TokioIo<TcpStream>>;
    type Unix = Conn<TokioIo<UnixStream>>;

    fn new(socket: BorrowedFd<'_>, _inherited: bool, _: &Worker) -> io::Result<Self> {
        let socket = UnixStream::from_std(socket.try_clone_to_owned()?.into())?;
        Ok(Self {
            socket,
            is_waiting: false,
        })
    }

    fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_waiting = true;
        ready!(self.socket.poll_read_ready(cx))?;
        let none: io::Result<()> = Err(io::ErrorKind::WouldBlock.into());
        let _ = self.socket.try_io(Interest::READABLE, || none);
        self.is_waiting = false;
        Poll::Ready(Ok(()))
    }

    fn tcp(&self, stream: net::TcpStream, info: ConnInfo) -> io::Result<Self::Tcp> {
        Ok(Conn::new(TokioIo::new(TcpStream::from_std(stream)?), info))
    }

    fn unix(&self, stream: unix::net::UnixStream, info: ConnInfo) -> io::Result<Self::Unix> {
        Ok(Conn::new(TokioIo::new(UnixStream::from_std(stream)?), info))
    }
}

#[tokio::test]
async fn custom_runtime_serves_tcp_and_unix_sockets() {
    let folder = std::env::temp_dir().join(format!("anyport-own-runtime-{}", std::process::id()));
    let server = serve_with(
        CustomTcp::bind("127.0.0.1:0")
            .with_workers(2)
            .with_nodelay(true),
        hello(),
    );
    let handle = server
        .and(CustomUnix::bind(&folder).with_mode(0o600), hello())
        .start()
        .unwrap();
    for _ in 0..10 {
        assert_eq!(get(("127.0.0.1", port_of(&handle))).unwrap(), "Hello");
    }
    let mut client = unix::net::UnixStream::connect(&folder).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.ends_with("Hello"), "{response}");
    let report = handle.shutdown(GRACE).await.unwrap();
    assert_eq!(report.aborted, 0);
    assert!(!folder.exists());
}
