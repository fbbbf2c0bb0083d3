//! The target and the version of a request, in the form that the connection's protocol wants.
use crate::connection::Slot;
use bytes::Bytes;
use http::{
    HeaderValue, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

/// HTTP/1.1: the target is the path, and the host is in `Host` (RFC 9112, section 3.2). HTTP/2: the
/// target has both (RFC 9113, section 8.3.1). A `Host` that the caller has set wins.
pub(crate) fn prepare<T, B>(request: &mut Request<T>, slot: &Slot<B>) {
    if slot.is_http2 {
        *request.version_mut() = Version::HTTP_2;
        let Some(host) = request.headers_mut().remove(header::HOST) else {
            return;
        };
        let host = Bytes::copy_from_slice(host.as_bytes());
        if let Ok(authority) = Authority::from_maybe_shared(host) {
            set_authority(request, authority);
        }
        return;
    }
    *request.version_mut() = Version::HTTP_11;
    if let Some(host) = &slot.line.facts.host {
        let headers = request.headers_mut();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, host.clone());
        }
    }
    let path = request.uri().path_and_query();
    let path = path.filter(|path| path.as_str() != "/").cloned();
    *request.uri_mut() = path
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
        .into();
}

fn set_authority<T>(request: &mut Request<T>, authority: Authority) {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(authority);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// Undoes [`prepare`], so that another connection can take the request.
pub(crate) fn restore<T, B>(mut request: Request<T>, slot: &Slot<B>) -> Request<T> {
    let origin = &slot.line.facts.origin;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    if let Some(authority) = &parts.authority
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
    let authority = format!("{}:{}", origin.host(), origin.port());
    parts.authority = Authority::from_maybe_shared(Bytes::from(authority)).ok();
    parts.scheme = Some(match origin.is_https() {
        true => Scheme::HTTPS,
        false => Scheme::HTTP,
    });
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request
}
