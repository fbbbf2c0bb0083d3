//! A client that reuses its connection while that is kept alive.
use crate::app::{bytes_of_length, sum};
use anyport::{Request, Response, error::BoxError, runtime::TokioIo};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    client::conn::http1::{self, SendRequest},
};
use std::{convert::Infallible, io, pin::Pin};
use tokio::io::{AsyncRead, AsyncWrite};

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct TestRequest {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    /// The length of the body.
    body: Option<usize>,
    /// Whether the body is chunked, without a declared length.
    in_chunks: bool,
}

/// The parts of a response that no proxy may change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestResponse {
    status: u16,
    id: String,
    length: Option<String>,
    /// The body, or the length and checksum of a long one.
    body: String,
}

/// A longer body may still be in flight when its response arrives.
const MAY_BE_HALF_SENT: usize = 16 * 1024;

/// Requests that a proxy, or the app behind it, might misinterpret.
pub(crate) fn requests() -> Vec<TestRequest> {
    let mut all = Vec::new();
    let mut ask = |method, path: &str, body, in_chunks, more: &[(&'static str, &str)]| {
        let id = all.len().to_string();
        let mut headers = vec![("x-test-id", id)];
        headers.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        all.push(TestRequest {
            method,
            path: path.to_owned(),
            headers,
            body,
            in_chunks,
        });
    };
    for method in ["GET", "DELETE", "OPTIONS", "PUT", "POST", "PATCH"] {
        ask(method, "/tell", None, false, &[]);
    }
    ask("GET", "/tell/a%20b/%2e%2e/c?d=e&f=%26&g", None, false, &[]);
    ask(
        "GET",
        "/tell",
        None,
        false,
        &[("x-test-long", &"y".repeat(3000))],
    );
    ask(
        "GET",
        "/tell",
        None,
        false,
        &[("x-test-list", "a, b"), ("x-test-empty", "")],
    );
    for length in [0, 1, 5, 1000, 16_384, 300_000, 1_500_000] {
        ask("POST", "/tell", Some(length), false, &[]);
        ask("PUT", "/tell", Some(length), true, &[]);
    }
    ask(
        "POST",
        "/tell",
        Some(70_000),
        false,
        &[("expect", "100-continue")],
    );
    // Bodies of more bytes than the server reads after a response, with and without a declared
    // length.
    for (length, in_chunks) in [
        (5, false),
        (5, true),
        (100_000, false),
        (100_000, true),
        (1_500_000, false),
    ] {
        ask("POST", "/unread", Some(length), in_chunks, &[]);
        ask("GET", "/tell", None, false, &[]);
    }
    for length in [0, 1, 5, 16_384, 1_500_000] {
        for way in ["bytes", "stream"] {
            ask("GET", &format!("/{way}/{length}"), None, false, &[]);
            ask("HEAD", &format!("/{way}/{length}"), None, false, &[]);
        }
    }
    for status in [200, 201, 204, 205, 304, 400, 404, 413, 500, 503] {
        ask("GET", &format!("/status/{status}"), None, false, &[]);
        ask("HEAD", &format!("/status/{status}"), None, false, &[]);
        ask("POST", &format!("/status/{status}"), Some(5), false, &[]);
    }
    all
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

type Dialing<S> = Pin<Box<dyn Future<Output = io::Result<S>> + Send>>;

pub(crate) struct Client<F> {
    dial: F,
    kept: Option<SendRequest<BoxBody<Bytes, Infallible>>>,
}

impl<S: Stream, F: FnMut() -> Dialing<S>> Client<F> {
    pub(crate) fn new(dial: F) -> Self {
        Self { dial, kept: None }
    }

    pub(crate) async fn send_and_read(&mut self, ask: &TestRequest) -> TestResponse {
        let sent = match self.kept.take().filter(|sender| !sender.is_closed()) {
            Some(mut kept) => match send(&mut kept, ask).await {
                Ok(response) => Some((kept, response)),
                // The server closed the kept-alive connection at the same moment (RFC 9112 9.3.1),
                // without a response.
                Err(error)
                    if error.is_canceled()
                        || error.is_incomplete_message()
                        || error.is_closed() =>
                {
                    None
                }
                Err(error) => panic!("{ask:?}: {error:?}"),
            },
            None => None,
        };
        let (sender, response) = match sent {
            Some(sent) => sent,
            None => {
                let stream = TokioIo::new((self.dial)().await.unwrap());
                let (mut sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let response = send(&mut sender, ask).await;
                (
                    sender,
                    response.unwrap_or_else(|error| panic!("{ask:?}: {error:?}")),
                )
            }
        };
        let answer = answer(ask, response).await;
        // Hyper's client may stop in the middle of a body after its response. Haproxy waits for the
        // remaining body.
        let may_be_half_sent = ask.path == "/unread" && ask.body > Some(MAY_BE_HALF_SENT);
        self.kept = (!may_be_half_sent).then_some(sender);
        answer.unwrap_or_else(|error| panic!("{ask:?}: {error:?}"))
    }
}

async fn send(
    sender: &mut SendRequest<BoxBody<Bytes, Infallible>>,
    ask: &TestRequest,
) -> hyper::Result<Response<Incoming>> {
    sender.ready().await?;
    sender.send_request(request(ask).unwrap()).await
}

async fn answer(ask: &TestRequest, response: Response<Incoming>) -> Result<TestResponse, BoxError> {
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = |name| {
        head.headers
            .get(name)
            .map(|value| value.to_str().map(str::to_owned))
    };
    Ok(TestResponse {
        status: head.status.as_u16(),
        id: text("x-test-id").transpose()?.unwrap_or_default(),
        // A proxy may omit the length of a response that it streams.
        length: match ask.method {
            "HEAD" if head.status.is_success() => text("content-length").transpose()?,
            _ => None,
        },
        body: match body.len() {
            ..4000 => body.escape_ascii().to_string(),
            long => format!("{long} {}", sum(&body)),
        },
    })
}

fn request(ask: &TestRequest) -> Result<Request<BoxBody<Bytes, Infallible>>, BoxError> {
    let body = bytes_of_length(ask.body.unwrap_or_default());
    let body = match ask.in_chunks {
        true => {
            let frames: Vec<_> = body.chunks(9999).map(Bytes::copy_from_slice).collect();
            BoxBody::new(StreamBody::new(stream::iter(
                frames.into_iter().map(|piece| Ok(Frame::data(piece))),
            )))
        }
        false => BoxBody::new(Full::from(body)),
    };
    let mut request = Request::builder()
        .method(ask.method)
        .uri(&ask.path)
        .header("host", "test");
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    Ok(request.body(body)?)
}
