//! A client that asks over any stream, and what it's answered: all of it, but for what's never the
//! same twice.
use crate::place::{Place, Stream};
use anyport::{Request, StatusCode, TokioIo};
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

/// A connection on which requests are asked, one after another.
pub(crate) enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// A request, but for the version that it's asked in.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) body: &'static str,
}

pub(crate) const fn ask(
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Ask {
    Ask {
        method,
        path,
        headers,
        body,
    }
}

pub(crate) const fn get(path: &'static str) -> Ask {
    ask("GET", path, &[], "")
}

/// A response: all of its headers, in the order of their names, and its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) async fn connect(place: &Place, version: Version) -> Self {
        Self::on(place.connect(version).await, version).await
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

    /// The head of the answer; its body is still to come.
    pub(crate) async fn begin(&mut self, ask: &Ask) -> Response<Incoming> {
        let request = Request::builder().method(ask.method);
        let mut request = match self {
            Self::Http1(_) => request.uri(ask.path).header(HOST, "localhost"),
            Self::Http2(_) => request.uri(format!("http://localhost{}", ask.path)),
        };
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(ask.body)).unwrap();
        match self {
            Self::Http1(client) => {
                client.ready().await.unwrap();
                client.send_request(request).await.unwrap()
            }
            Self::Http2(client) => client.send_request(request).await.unwrap(),
        }
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> Answer {
        let (head, body) = self.begin(ask).await.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            let (name, value) = (name.to_string(), value.to_str().unwrap());
            let value = settled(&name, value, ask);
            (name, value)
        });
        let mut headers: Vec<_> = headers.collect();
        headers.sort();
        let body = body.collect().await.unwrap().to_bytes();
        let mut answer = Answer {
            status: head.status,
            headers,
            body,
        };
        // How it's cut into blocks depends on how fast it came: what it says is compared.
        if answer.header("content-encoding") == Some("gzip") {
            answer.body = unzipped(&answer.body);
        }
        // How often it was kept alive, depends on how busy the machine is.
        if answer.header("content-type") == Some("text/event-stream") {
            let text = answer.text();
            let (comments, events) =
                text.split_at(text.len() - text.trim_start_matches(ALIVE).len());
            answer.body = [&comments[..ALIVE.len().min(comments.len())], events]
                .concat()
                .into();
        }
        answer
    }
}

/// A comment, which keeps server-sent events alive.
const ALIVE: &str = ":\n\n";

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        Some(value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What's another each time has to be well-formed; its value is left out.
fn settled(name: &str, value: &str, ask: &Ask) -> String {
    match name {
        "date" => {
            assert!(
                value.len() == 29 && value.ends_with(" GMT"),
                "date: {value}"
            );
            "<date>".to_owned()
        }
        "x-request-id" if !ask.headers.iter().any(|(name, _)| *name == "x-request-id") => {
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
