//! A client over any stream. It returns whole responses, with varying values replaced by
//! placeholders.
use crate::servers::{Stream, TestServer};
use anyport::{Request, http::StatusCode, runtime::TokioIo};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::{
    Response,
    body::Incoming,
    client::conn::{http1, http2},
    header::HOST,
    rt::Executor,
};
use std::io::Read as _;

/// A connection that sends one request after another.
pub(crate) enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// A request, without its version of HTTP.
#[derive(Debug)]
pub(crate) struct TestRequest {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static str,
}

pub(crate) const fn request(
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> TestRequest {
    TestRequest {
        method,
        path,
        headers,
        body,
    }
}

pub(crate) const fn get(path: &'static str) -> TestRequest {
    request("GET", path, &[], "")
}

/// A response: its status, all headers sorted by name, and its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TestResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(served: &TestServer, version: Version) -> Self {
        Self::on(served.connect(version).await, version).await
    }

    async fn on(stream: Box<dyn Stream>, version: Version) -> Self {
        let stream = TokioIo::new(stream);
        match version {
            Version::Http1 => {
                let (client, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                Self::Http1(client)
            }
            Version::Http2 => {
                let (client, connection) = http2::handshake(Spawn, stream).await.unwrap();
                tokio::spawn(connection);
                Self::Http2(client)
            }
        }
    }

    /// Sends the request and returns the head of the response; the body is still to be read.
    pub(crate) async fn begin(&mut self, sent: &TestRequest) -> Response<Incoming> {
        let request = Request::builder().method(sent.method);
        let mut request = match self {
            Self::Http1(_) => request.uri(sent.path).header(HOST, "localhost"),
            Self::Http2(_) => request.uri(format!("http://localhost{}", sent.path)),
        };
        for (name, value) in sent.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(sent.body)).unwrap();
        match self {
            Self::Http1(client) => {
                client.ready().await.unwrap();
                client.send_request(request).await.unwrap()
            }
            Self::Http2(client) => client.send_request(request).await.unwrap(),
        }
    }

    pub(crate) async fn send(&mut self, sent: &TestRequest) -> TestResponse {
        let (head, body) = self.begin(sent).await.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            let (name, value) = (name.to_string(), value.to_str().unwrap());
            let value = normalized(&name, value, sent);
            (name, value)
        });
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        let body = body.collect().await.unwrap().to_bytes();
        let mut response = TestResponse {
            status: head.status,
            headers,
            body,
        };
        // The compressed blocks depend on timing, so the decompressed text is compared.
        if response.header("content-encoding") == Some("gzip") {
            response.body = unzipped(&response.body);
        }
        // The number of keep-alive comments depends on the load of the machine.
        if response.header("content-type") == Some("text/event-stream") {
            let text = response.text();
            let (comments, events) =
                text.split_at(text.len() - text.trim_start_matches(KEEP_ALIVE).len());
            response.body = [&comments[..KEEP_ALIVE.len().min(comments.len())], events]
                .concat()
                .into();
        }
        response
    }
}

/// The comment that keeps server-sent events alive.
const KEEP_ALIVE: &str = ":\n\n";

impl TestResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Replaces a value that differs each time, after checking its form.
fn normalized(name: &str, value: &str, sent: &TestRequest) -> String {
    match name {
        "date" => {
            assert!(
                value.len() == 29 && value.ends_with(" GMT"),
                "date: {value}"
            );
            "<date>".to_owned()
        }
        "x-request-id" if !sent.headers.iter().any(|(name, _)| *name == "x-request-id") => {
            let groups: Vec<_> = value.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{name}: {value}");
            "<uuid>".to_owned()
        }
        _ => value.to_owned(),
    }
}

fn unzipped(body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain.into()
}

#[derive(Clone)]
struct Spawn;

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
