//! More events at once than a worker has room for, over TCP: no event is lost.
use crate::harness::fixture::{GRACE, TIMEOUT, connect, wait_until};
use anyport_core::{Body, Server, Timeouts};
use http::{Request, Response};
use std::{
    future::{Ready, ready},
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll},
};
use tower_service::Service;

const ROUNDS: usize = 3;

/// An app that blocks its worker while it handles `/block`.
#[derive(Clone, Debug)]
pub struct App {
    started: mpsc::Sender<()>,
    released: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Service<Request<Body>> for App {
    type Response = Response<Body>;
    type Error = io::Error;
    type Future = Ready<io::Result<Response<Body>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() == "/block" {
            self.started.send(()).unwrap();
            let released = self.released.lock().unwrap();
            released.recv_timeout(TIMEOUT).unwrap();
        }
        ready(Ok(Response::new("Hello".into())))
    }
}

/// Blocks the only worker of a server, makes this many connections readable in the meantime, and
/// expects a response on each. Repeats this three times.
///
/// # Panics
///
/// A connection gets no response, or a wrong one.
pub async fn all_at_once(serve: impl FnOnce(App) -> Server, connections: usize) {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    // Accepting all clients takes a while.
    let timeouts = Timeouts::default().with_head(4 * TIMEOUT);
    let server = serve(App { started, released }).timeouts(timeouts);
    let handle = server.start().unwrap();
    let mut clients: Vec<_> = (0..connections).map(|_| connect(&handle)).collect();
    wait_until("all clients are accepted", || {
        handle.connections() == connections
    });
    for round in 0..ROUNDS {
        let mut blocking = connect(&handle);
        write!(blocking, "GET /block HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        has_started.recv_timeout(TIMEOUT).unwrap();
        for client in &mut clients {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                .unwrap();
        }
        release.send(()).unwrap();
        for client in &mut clients {
            assert_eq!(
                status_line(client),
                "HTTP/1.1 200 OK",
                "each client expects a response in round {round}"
            );
        }
        // The status is 500 if the handler of `/block` was not released in time.
        assert_eq!(
            status_line(&mut blocking),
            "HTTP/1.1 200 OK",
            "each client expects a response in round {round}"
        );
    }
    handle.shutdown(GRACE).await.unwrap();
}

/// The status line of a response, which is read to its end.
fn status_line(client: &mut TcpStream) -> String {
    let (mut reader, mut answer) = (BufReader::new(client), Vec::new());
    while !answer.ends_with(b"\r\n\r\nHello") {
        let n = reader.read_until(b'o', &mut answer).unwrap();
        assert_ne!(n, 0, "expected a whole response, got EOF after {answer:?}");
    }
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}
