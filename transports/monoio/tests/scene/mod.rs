//! What the tests share: an app, a client, and both drivers.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use anyport_core::{Body, Handle};
use anyport_monoio::{Driver, Monoio};
use http::{Request, Response};
use std::{
    fs,
    future::{Ready, ready},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};
use tower::util::ServiceFn;

/// Nothing here takes nearly so long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The grace of a server that has nothing to do any more.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
pub(crate) const DRIVERS: [Driver; 2] = [Driver::IoUring, Driver::Epoll];

pub(crate) type Hello = ServiceFn<fn(Request<Body>) -> Ready<io::Result<Response<Body>>>>;

/// An app that answers `Hello`.
pub(crate) fn hello() -> Hello {
    tower::service_fn(|_| ready(Ok(Response::new("Hello".into()))))
}

/// One worker.
pub(crate) fn one(driver: Driver) -> Monoio {
    Monoio::bind("127.0.0.1:0").with_driver(driver).with_workers(1)
}

/// Where the first transport listens.
pub(crate) fn addr_of(handle: &Handle) -> SocketAddr {
    handle.endpoints()[0].socket_addr().unwrap()
}

pub(crate) fn connect(handle: &Handle) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr_of(handle), PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The body of the answer to one request, on a connection of its own.
pub(crate) fn get(handle: &Handle, path: &str) -> io::Result<String> {
    let mut stream = connect(handle);
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    let (_, body) = response
        .split_once("\r\n\r\n")
        .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, response.clone()))?;
    Ok(body.to_owned())
}

/// Waits until something holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < by, "never: {what}");
        thread::yield_now();
    }
}

/// How many descriptors this process has.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
