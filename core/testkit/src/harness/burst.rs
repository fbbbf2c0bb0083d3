//! More events at once than a worker has room for, over TCP: none is lost.
use crate::harness::scene::{GRACE, PATIENCE, connect, until};
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

/// An app that keeps its worker from everything else while it answers `/block`.
#[derive(Clone, Debug)]
pub struct App {
    tell: mpsc::Sender<()>,
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
            self.tell.send(()).unwrap();
            let released = self.released.lock().unwrap();
            released.recv_timeout(PATIENCE).unwrap();
        }
        ready(Ok(Response::new("Hello".into())))
    }
}

/// Has so many connections of a server of one worker become readable while that worker does
/// something else; each is answered then. Three times over.
///
/// # Panics
///
/// One isn't.
pub async fn all_at_once(serve: impl FnOnce(App) -> Server, connections: usize) {
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Arc::new(Mutex::new(released));
    // It takes a while until all are there.
    let timeouts = Timeouts::default().with_head(4 * PATIENCE);
    let server = serve(App { tell, released }).timeouts(timeouts);
    let handle = server.start().unwrap();
    let mut clients: Vec<_> = (0..connections).map(|_| connect(&handle)).collect();
    until("they're accepted", || handle.connections() == connections);
    for round in 0..ROUNDS {
        let mut blocking = connect(&handle);
        write!(blocking, "GET /block HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        told.recv_timeout(PATIENCE).unwrap();
        for client in &mut clients {
            client
                .write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                .unwrap();
        }
        release.send(()).unwrap();
        for client in &mut clients {
            assert_eq!(answer(client), "HTTP/1.1 200 OK", "in round {round}");
        }
        // The worker was kept from them until then, or this were a 500.
        assert_eq!(answer(&mut blocking), "HTTP/1.1 200 OK", "in round {round}");
    }
    handle.shutdown(GRACE).await.unwrap();
}

/// The first line of an answer that's read to its end.
fn answer(client: &mut TcpStream) -> String {
    let (mut reader, mut answer) = (BufReader::new(client), Vec::new());
    while !answer.ends_with(b"\r\n\r\nHello") {
        let n = reader.read_until(b'o', &mut answer).unwrap();
        assert_ne!(n, 0, "the end after {answer:?}");
    }
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}
