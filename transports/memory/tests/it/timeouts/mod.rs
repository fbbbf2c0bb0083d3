//! Tests every timeout with its default, to the millisecond. tokio's clock is paused, so that
//! minutes take no time.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod drain;
mod http1;
mod http2;

use crate::fixture::{ConnectionEnd, TestServer, all_tasks_idle};
use anyport_core::{Body, Server, Timeouts, error::BoxError, observe::TimedOut};
use anyport_memory::MemoryStream;
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame};
use std::{
    future::{Future, pending},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);
/// The defaults of [`Timeouts`] as literals, so that the test detects a change of one.
const HEAD: Duration = Duration::from_secs(30);
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const BODY_GAP: Duration = Duration::from_secs(60);
const WRITE_STALL: Duration = Duration::from_secs(60);
/// How long the server waits for a peer that may still be sending, but sends nothing.
const LINGER: Duration = Duration::from_secs(2);
/// How long such a peer may go on sending.
const MAX_LINGER: Duration = Duration::from_secs(30);
/// tokio's clock counts milliseconds and rounds up, and `all_tasks_idle` takes one more.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(3);
/// The limit for waiting on the paused clock.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

const GET: &str = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/// One route for each kind of slow request.
async fn app(request: Request<Body>) -> Result<Response<Body>, BoxError> {
    match request.uri().path() {
        "/" => Ok(Response::new(Body::from("Hello"))),
        "/never" => pending().await,
        "/stream" => Ok(Response::new(Body::new(Endless))),
        "/body" => {
            let body = request.into_body().collect().await;
            let timed_out = |e: &BoxError| {
                let error = e.downcast_ref::<io::Error>();
                error.is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
            };
            let (status, text) = match body {
                Ok(body) => (StatusCode::OK, body.to_bytes()),
                Err(e) if timed_out(&e) => (StatusCode::REQUEST_TIMEOUT, Bytes::new()),
                Err(e) => return Err(e),
            };
            let mut response = Response::new(Body::from(text));
            *response.status_mut() = status;
            Ok(response)
        }
        path => Err(format!("no route {path}").into()),
    }
}

struct Endless;

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 8 * 1024])))))
    }
}

fn serve() -> TestServer {
    TestServer::serve(service_fn(app), |server| server)
}

fn serve_with(change: impl FnOnce(Timeouts) -> Timeouts) -> TestServer {
    let timeouts = change(Timeouts::default());
    TestServer::serve(service_fn(app), |server: Server| server.timeouts(timeouts))
}

/// Asserts that an event came at `deadline` after `since`, and not later.
#[track_caller]
fn assert_elapsed(at: Instant, since: Instant, deadline: Duration) {
    let elapsed = at - since;
    assert!(
        elapsed >= deadline,
        "{elapsed:?}, before {deadline:?} had passed"
    );
    assert!(
        elapsed <= deadline + CLOCK_TOLERANCE,
        "{elapsed:?}, later than {deadline:?}"
    );
}

#[track_caller]
fn assert_ended(end: &ConnectionEnd, since: Instant, deadline: Duration, why: Option<TimedOut>) {
    assert_eq!(end.timed_out, why, "{end:?}");
    assert!(!end.aborted, "{end:?}");
    assert_elapsed(end.at, since, deadline);
}

async fn send(client: &mut MemoryStream, bytes: &str) {
    client.write_all(bytes.as_bytes()).await.unwrap();
    all_tasks_idle().await;
}

/// The bytes that have arrived, on a connection that the server leaves open.
async fn read_response(client: &mut MemoryStream) -> String {
    let mut bytes = vec![0; 4096];
    let n = timeout(NEVER, client.read(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

/// All bytes until the server closes.
async fn read_to_end(client: &mut MemoryStream) -> String {
    let mut rest = String::new();
    let read = timeout(NEVER, client.read_to_string(&mut rest)).await;
    read.unwrap().unwrap();
    rest
}

/// An HTTP/2 client that behaves well: it reads, and responds to pings.
struct H2 {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl H2 {
    async fn connect(server: &TestServer) -> Self {
        let (requests, connection) = h2::client::handshake(server.connect()).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a request. Dropping the sender resets the stream.
    async fn send_request(
        &self,
        path: &str,
        end: bool,
    ) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut ready = self.requests.clone().ready().await.unwrap();
        let request = Request::get(format!("http://test{path}")).body(()).unwrap();
        ready.send_request(request, end).unwrap()
    }

    async fn status(&self, path: &str) -> StatusCode {
        let (response, _sender) = self.send_request(path, true).await;
        response.await.unwrap().status()
    }
}
