//! What a request needs to be sent again, and when that is safe.
use crate::{
    config::Config,
    connection::Slot,
    request_body::{ClientBody, RequestBody},
};
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::Body;

/// How often a server may refuse a request of HTTP/2.
const MAX_REFUSALS: usize = 5;

/// A copy of a request without a body. hyper consumes the original.
pub(crate) struct Copied {
    method: Method,
    uri: Uri,
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
                uri: request.uri().clone(),
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
        *request.uri_mut() = self.uri;
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        *request.extensions_mut() = self.extensions;
        request
    }
}

/// How often a request may be sent again. HTTP/1.1: once, since nobody knows what became of it (RFC
/// 9110, section 9.2.2). HTTP/2: the server says that it did not process it.
pub(crate) fn max_retries<B>(config: &Config, slot: &Slot<B>) -> usize {
    match slot.is_http2 {
        _ if config.does_not_retry => 0,
        true => MAX_REFUSALS,
        false => 1,
    }
}

/// Whether the server did not process a request that was sent on this connection, as far as the
/// client can know.
///
/// HTTP/1.1: the connection ended, and nothing was read (RFC 9112, section 9.3.1). HTTP/2: the
/// server says so (RFC 9113, section 8.7).
pub(crate) fn is_unprocessed<B>(error: &hyper::Error, slot: &Slot<B>) -> bool {
    if slot.is_http2 {
        return h2_error(error).is_some_and(|error| {
            error.is_remote()
                && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM))
        });
    }
    let reads = slot.line.reads();
    match error.is_incomplete_message() {
        // The end of the stream is a read.
        true => reads <= 1,
        false => reads == 0 && !error.is_user(),
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}
