//! The target and the version of a request, in the form that the connection's protocol wants.
use crate::connection::PooledConn;
use http::{
    HeaderValue, Method, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery},
};
use http_body::Body;
use std::mem;

/// HTTP/1.1: the target is the path, and the host is in `Host` (RFC 9112, section 3.2). HTTP/2: the
/// target has both (RFC 9113, section 8.3.1). A `Host` that the caller has set wins.
pub(crate) fn prepare<T: Body, B>(request: &mut Request<T>, pooled: &PooledConn<B>) -> Original {
    if pooled.is_http2 {
        *request.version_mut() = Version::HTTP_2;
        let uri = request.uri().clone();
        let host = request.headers_mut().remove(header::HOST);
        if let Some(host) = &host
            && let Ok(authority) = Authority::try_from(host.as_bytes())
        {
            set_authority(request, authority);
        }
        return Original { uri, host };
    }
    *request.version_mut() = Version::HTTP_11;
    announce_body(request);
    if let Some(host) = &pooled.conn_state.facts.host {
        let field = request.headers_mut().entry(header::HOST);
        field.or_insert_with(|| host.clone());
    }
    let path = request.uri().path_and_query();
    let path = path.filter(|path| path.as_str() != "/").cloned();
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    Original {
        uri: mem::replace(request.uri_mut(), path.into()),
        host: None,
    }
}

/// What [`prepare`] has replaced in a request.
pub(crate) struct Original {
    uri: Uri,
    /// HTTP/2: the `Host` that the caller has set.
    host: Option<HeaderValue>,
}

/// Makes the fields say what follows the head. Otherwise the server takes a part of the body for
/// the next request, or the other way around.
///
/// With GET and HEAD, hyper sends a body of unknown length only if a field announces it. And it
/// sends a `Content-Length` without a body as it is.
fn announce_body<T: Body>(request: &mut Request<T>) {
    let is_empty = request.body().is_end_stream();
    let is_unknown = !is_empty && request.body().size_hint().exact().is_none();
    let has_usual_body = *request.method() != Method::GET && *request.method() != Method::HEAD;
    let headers = request.headers_mut();
    if is_empty
        && headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0")
    {
        headers.remove(header::CONTENT_LENGTH);
    }
    if is_unknown && !has_usual_body && !headers.contains_key(header::CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(header::TRANSFER_ENCODING, chunked);
    }
}

fn set_authority<T>(request: &mut Request<T>, authority: Authority) {
    let mut parts = mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(authority);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// Undoes [`prepare`], so that another connection can take the request.
pub(crate) fn restore<T>(mut request: Request<T>, original: Original) -> Request<T> {
    *request.uri_mut() = original.uri;
    if let Some(host) = original.host {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyport_core::Body as AnyBody;
    use bytes::Bytes;
    use http_body_util::{Empty, StreamBody};

    #[test]
    fn head_says_what_follows_it() {
        let stream = || {
            AnyBody::new(StreamBody::new(futures_util::stream::empty::<
                Result<_, std::io::Error>,
            >()))
        };
        let framing = |method: &str, length: Option<&str>, body: AnyBody| {
            let mut request = Request::builder().method(method).uri("/");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let mut request = request.body(body).unwrap();
            announce_body(&mut request);
            let field = |name| {
                request
                    .headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap().to_owned())
            };
            (field("content-length"), field("transfer-encoding"))
        };
        let (text, chunked) = (
            |text: &str| Some(text.to_owned()),
            Some("chunked".to_owned()),
        );
        let empty = || AnyBody::new(Empty::<Bytes>::new());
        for method in ["GET", "HEAD"] {
            assert_eq!(framing(method, None, stream()), (None, chunked.clone()));
        }
        assert_eq!(framing("GET", Some("5"), stream()), (text("5"), None));
        assert_eq!(framing("GET", None, AnyBody::from("hello")), (None, None));
        for method in ["GET", "POST"] {
            assert_eq!(framing(method, Some("5"), empty()), (None, None));
            assert_eq!(framing(method, Some("0"), empty()), (text("0"), None));
        }
        // hyper announces the bodies of other methods itself.
        assert_eq!(framing("POST", None, stream()), (None, None));
    }
}
