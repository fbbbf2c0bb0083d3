//! A server on a paused clock that receives pieces, and its responses.
use crate::fixture::{TestServer, all_tasks_idle};
use anyport_core::{Body, HttpOptions, Limits, Server, error::BoxError};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, split},
    runtime::{Builder, Runtime},
};
use tower::service_fn;

/// The minimum, so that an oversized head is a small input.
const HEAD_BYTES: usize = 8 * 1024;

/// Replaces the dates of responses that the server itself makes.
const DATE: &[u8; 29] = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// Responds with the app's view of the request.
async fn echo_request(mut request: Request<Body>) -> Result<Response<String>, BoxError> {
    let path = request.uri().path().to_owned();
    let mut response = Response::new(String::new());
    // In HTTP/2 a date is compressed, so it could not be replaced afterwards.
    let date = HeaderValue::from_bytes(DATE)?;
    response.headers_mut().insert(header::DATE, date);
    match path.as_str() {
        "/echo" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let Ok(upgraded) = upgrade.await else { return };
                let (mut read, mut write) = split(TokioIo::new(upgraded));
                // The client's FIN ends the echo.
                let _ = copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("echo"));
        }
        "/unread" => {}
        _ => {
            let (head, body) = request.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            *response.body_mut() = format!(
                "{} {} {:?} {:?} {:?} {trailers:?}\n",
                head.method,
                head.uri,
                head.version,
                head.headers,
                body.to_bytes(),
            );
        }
    }
    Ok(response)
}

/// A server, and its runtime with a paused clock.
pub(crate) struct SplitServer {
    runtime: Runtime,
    server: TestServer,
}

impl SplitServer {
    pub(crate) fn start() -> Self {
        Self::start_with(HttpOptions::default())
    }

    pub(crate) fn start_with(http: HttpOptions) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let limits = Limits::default().with_head_bytes(HEAD_BYTES);
        let configure = |server: Server| server.limits(limits).http(http);
        let server =
            runtime.block_on(async { TestServer::serve(service_fn(echo_request), configure) });
        Self { runtime, server }
    }

    /// All responses on one connection to these pieces, until the server closes.
    pub(crate) fn responses<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Responses {
        self.runtime.block_on(async {
            let mut client = self.server.connect();
            for piece in pieces {
                // The server may have closed the connection after an earlier response.
                if client.write_all(piece).await.is_err() {
                    break;
                }
                all_tasks_idle().await;
            }
            let _ = client.shutdown().await;
            let mut responses = Vec::new();
            client.read_to_end(&mut responses).await.unwrap();
            Responses::new(responses)
        })
    }

    /// The responses if all bytes are sent at once.
    pub(crate) fn unsplit(&self, bytes: &[u8]) -> Responses {
        self.responses([bytes])
    }
}

/// The server's bytes, with escapes in the debug output.
#[derive(PartialEq)]
pub(crate) struct Responses(pub(crate) Vec<u8>);

impl Responses {
    fn new(bytes: Vec<u8>) -> Self {
        // The server's preface is its SETTINGS frame (RFC 9113 3.4).
        let is_http2 = bytes.get(3..9) == Some(&[4, 0, 0, 0, 0, 0]);
        Self(if is_http2 {
            by_stream(&bytes)
        } else {
            replace_dates(bytes)
        })
    }

    /// The responses up to the first one that the server itself makes. The server makes it before
    /// it reads the request body. So whether the connection stays open depends on whether the body
    /// has arrived (RFC 9112 9.3).
    pub(crate) fn until_own_response(self) -> Self {
        const OWN: &str = "content-type: text/plain\r\n";
        let text = self.0.escape_ascii().to_string().replace("\\r\\n", "\r\n");
        let Some((before, refusal)) = text.split_once(OWN) else {
            return self;
        };
        let refusal = refusal.replacen("connection: close\r\n", "", 1);
        // A response to HEAD has no body.
        let refusal = refusal
            .split_once("\\n")
            .map_or(&*refusal, |(refusal, _)| refusal);
        Self(format!("{before}{OWN}{refusal}").into_bytes())
    }
}

/// Replaces the time of day.
fn replace_dates(mut bytes: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"\r\ndate: ";
    let mut from = 0;
    while let Some(at) = bytes[from..].windows(NAME.len()).position(|w| w == NAME) {
        from += at + NAME.len();
        if let Some(date) = bytes.get_mut(from..from + DATE.len()) {
            date.copy_from_slice(DATE);
        }
    }
    bytes
}

/// The frames of each stream in their order, and the frames of the connection sorted. The order
/// between the two may vary. An acknowledgement follows what it acknowledges, and a window may be
/// opened at any time (RFC 9113 6.5.3, 6.9).
fn by_stream(mut bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<9>() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (frame, rest) = bytes.split_at(9 + length);
        frames.push((u32::from_be_bytes(head[5..].try_into().unwrap()), frame));
        bytes = rest;
    }
    assert_eq!(bytes, b"", "a whole frame");
    let (mut of_connection, mut of_streams): (Vec<_>, Vec<_>) =
        frames.into_iter().partition(|(id, _)| *id == 0);
    of_connection.sort_unstable();
    of_streams.sort_by_key(|(id, _)| *id);
    let all = of_connection.into_iter().chain(of_streams);
    all.flat_map(|(_, frame)| frame).copied().collect()
}

impl std::fmt::Debug for Responses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}
