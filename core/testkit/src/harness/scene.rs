//! What a transport's own tests over TCP share: an app, a blocking client, and waiting for a
//! condition.
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

/// Nothing takes nearly so long, unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The grace of a server that has nothing to do any more.
pub const GRACE: Duration = Duration::from_secs(1);

/// What [`hello`] gives.
pub type Hello = ServiceFn<fn(Request<Body>) -> Answer>;
/// What [`Hello`] answers.
pub type Answer = Ready<io::Result<Response<Body>>>;

/// An app that answers `Hello`.
pub fn hello() -> Hello {
    tower::service_fn(|_| ready(Ok(Response::new("Hello".into()))))
}

/// Where the first transport listens.
///
/// # Panics
///
/// It isn't an IP address.
pub fn addr_of(handle: &Handle) -> SocketAddr {
    let addr = handle.endpoints()[0].socket_addr();
    addr.expect("it listens at an IP address")
}

/// A client with patience for each read and write.
///
/// # Panics
///
/// It can't connect.
pub fn connect(handle: &Handle) -> TcpStream {
    let stream = TcpStream::connect_timeout(&addr_of(handle), PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The body of the answer to one request, on a connection of its own.
///
/// # Errors
///
/// The connection fails, or ends before the answer's head does.
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

/// Waits until something holds.
///
/// # Panics
///
/// It doesn't, for all [`PATIENCE`].
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < by, "never: {what}");
        thread::yield_now();
    }
}

/// Does the same so many times at once, each on a thread and a tokio of its own, and with its own
/// number: what waits more than it computes is over sooner.
///
/// # Panics
///
/// One of them does, or there's no thread to be had.
pub fn in_lanes<F: Future<Output = ()>>(lanes: usize, lane: impl Fn(usize) -> F + Sync) {
    let run = |number| {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(lane(number));
    };
    thread::scope(|scope| {
        for number in 0..lanes {
            scope.spawn({
                let run = &run;
                move || run(number)
            });
        }
    });
}

/// How many descriptors this process has (Linux: proc(5)).
///
/// # Panics
///
/// There's no `/proc`.
pub fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
