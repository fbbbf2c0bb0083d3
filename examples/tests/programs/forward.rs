//! An app that forwards requests to a Unix socket, with a new connection for each.
use anyport::{Body, Request, Response, error::BoxError, runtime::TokioIo};
use hyper::{HeaderMap, client::conn::http1};
use std::{path::Path, pin::Pin};
use tokio::net::UnixStream;

/// Headers of the connection, which are not forwarded (RFC 9110 7.6.1).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Forwarding = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

pub(crate) fn forwarder(
    path: &Path,
) -> impl Fn(Request<Body>) -> Forwarding + Clone + Send + 'static {
    let path = path.to_owned();
    move |mut request| {
        let path = path.clone();
        Box::pin(async move {
            let stream = UnixStream::connect(path).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            strip(request.headers_mut());
            let mut response = sender.send_request(request).await?;
            strip(response.headers_mut());
            Ok(response.map(Body::new))
        })
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}
