//! An app, a blocking client, and a way to wait for a condition, for tests of a transport over TCP.
use anyport_core::{Body, Handle};
use http::{Request, Response};
use std::{
    fs,
    future::{Future, Ready, ready},
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Builder;
use tower::util::ServiceFn;

/// Upper bound of every wait. Only a test that hangs reaches it.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Grace of a server that has no work left.
pub const GRACE: Duration = Duration::from_secs(1);

/// The type of [`hello`].
pub type Hello = ServiceFn<fn(Request<Body>) -> Answer>;
/// The response future of [`Hello`].
pub type Answer = Ready<io::Result<Response<Body>>>;

/// An app that responds with `Hello`.
pub fn hello() -> Hello {
    tower::service_fn(|_| ready(Ok(Response::new("Hello".into()))))
}

/// The address of the server's first transport.
///
/// # Panics
///
/// The endpoint is not an IP address.
pub fn addr_of(handle: &Handle) -> SocketAddr {
    let addr = handle.endpoints()[0].socket_addr();
    addr.expect("the endpoint is an IP address")
}

/// Connects a blocking client. Each read and write times out after [`TIMEOUT`].
///
/// # Panics
///
/// The client cannot connect.
pub fn connect(handle: &Handle) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr_of(handle), TIMEOUT).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends one request on a connection of its own, and returns the body of the response.
///
/// # Errors
///
/// The connection fails, or ends before the head of the response is complete.
pub fn get(handle: &Handle, path: &str) -> io::Result<String> {
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

/// Waits until a condition holds.
///
/// # Panics
///
/// The condition does not hold within [`TIMEOUT`].
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < by, "not within {TIMEOUT:?}: {what}");
        thread::yield_now();
    }
}

/// Runs the same test several times at once, each on a thread and a tokio runtime of its own. The
/// test receives its number, from 0.
///
/// # Panics
///
/// One of the runs panics, or no thread can be spawned.
pub fn run_concurrently<F: Future<Output = ()>>(runs: usize, test: impl Fn(usize) -> F + Sync) {
    let run = |number| {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(test(number));
    };
    thread::scope(|scope| {
        for number in 0..runs {
            scope.spawn({
                let run = &run;
                move || run(number)
            });
        }
    });
}

/// Number of open descriptors of this process (Linux: proc(5)).
///
/// # Panics
///
/// `/proc` is not mounted.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
