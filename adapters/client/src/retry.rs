//! What a request needs to be sent again, and when that is safe.
use crate::{
    connection::PooledConn,
    error::{is_dropped, is_refused},
    request_body::{ClientBody, RequestBody},
};
use http::{Extensions, HeaderName, HeaderValue, Method, Request};
use http_body::Body;

/// How often a request may be sent again. A server that restarts may close several idle connections
/// in turn. A request that fails on a new connection is not sent again.
pub(crate) const MAX_RETRIES: u32 = 5;

/// A copy of a prepared request without a body, except its target. hyper consumes the original.
pub(crate) struct Copied {
    method: Method,
    /// A list is one allocation, and a copy of the map would be two.
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
}

impl Copied {
    /// `None`: the request must not be repeated, because its method is not idempotent (RFC 9110,
    /// section 9.2.2), or because it has a body.
    pub(crate) fn of<B: ClientBody>(request: &Request<RequestBody<B>>) -> Option<Self> {
        let is_repeatable = request.method().is_idempotent() && request.body().is_end_stream();
        is_repeatable.then(|| {
            let headers = request.headers().iter();
            Self {
                method: request.method().clone(),
                headers: headers
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
                extensions: request.extensions().clone(),
            }
        })
    }

    pub(crate) fn into_request<B: ClientBody>(self) -> Request<RequestBody<B>> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = self.method;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        *request.extensions_mut() = self.extensions;
        request
    }
}

/// Whether the server did not process a request that was sent on this connection, as far as the
/// client can know.
///
/// HTTP/1.1: the connection ended, and nothing was read (RFC 9112, section 9.3.1). HTTP/2: the
/// server says so (RFC 9113, section 8.7), or the connection ended before a stream was opened.
pub(crate) fn is_unprocessed<B>(error: &hyper::Error, pooled: &PooledConn<B>) -> bool {
    if pooled.is_http2 {
        return is_refused(error) || is_dropped(error);
    }
    let reads = pooled.conn_state.reads();
    match error.is_incomplete_message() {
        // The end of the stream is a read.
        true => reads <= 1,
        false => reads == 0 && !error.is_user(),
    }
}
