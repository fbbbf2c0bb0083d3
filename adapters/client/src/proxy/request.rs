//! A received request becomes one that may be sent to the target.
use super::{
    Rejection, Upgrade,
    content_length::{Ambiguous, unify_lengths},
    hop_by_hop::remove_hop_by_hop,
};
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{COOKIE, HOST},
};

/// Makes a received request one that a proxy may send to its target. The proxy then sets the URI
/// and adds fields of its own.
///
/// - [`remove_hop_by_hop`] removes the fields of the client's connection.
/// - `Host` becomes the authority of an HTTP/2 request, which has none (RFC 9113 8.3.1).
/// - `Cookie` becomes one field again; HTTP/2 may split it (RFC 9113 8.2.3).
/// - The version becomes HTTP/1.1, because it was that of the client's connection.
///
/// `upgrades` are the protocols that the proxy forwards, such as `["websocket"]`. If the client
/// asks for one of them, so does the request, and the upgrade is returned. Name only protocols that
/// you know: with an upgrade to `h2c`, later requests of the connection would bypass the proxy's
/// rules.
///
/// # Errors
///
/// 400: several `Content-Length` fields disagree on the end of the request. 501: the method is
/// CONNECT, and it is not an extended CONNECT (RFC 8441) to one of the protocols.
///
/// ```
/// # use anyport_client::proxy;
/// # use http::Request;
/// let mut request = Request::get("/")
///     .header("host", "example.com")
///     .header("connection", "keep-alive, x-debug")
///     .header("x-debug", "1")
///     .body(())
///     .unwrap();
/// let upgrade = proxy::prepare_request(&mut request, &["websocket"]).unwrap();
/// assert!(upgrade.is_none());
/// assert_eq!(request.headers().keys().collect::<Vec<_>>(), ["host"]);
/// ```
pub fn prepare_request<B>(
    request: &mut Request<B>,
    upgrades: &[&str],
) -> Result<Option<Upgrade>, Rejection> {
    let asked = remove_hop_by_hop(request.headers_mut());
    unify_lengths(request.headers_mut()).map_err(|Ambiguous| {
        let what = "the Content-Length is ambiguous (RFC 9112 6.3)";
        Rejection::request(StatusCode::BAD_REQUEST, what)
    })?;
    let upgrade = match *request.method() {
        Method::CONNECT => {
            let what = "this proxy does not support CONNECT to this target";
            let refused = Rejection::request(StatusCode::NOT_IMPLEMENTED, what);
            Some(Upgrade::extended_connect(upgrades, request).ok_or(refused)?)
        }
        // RFC 9110 7.8: an upgrade in HTTP/1.0 is ignored.
        _ if request.version() == Version::HTTP_11 => {
            asked.and_then(|protocol| Upgrade::http1(&protocol, upgrades, request))
        }
        _ => None,
    };
    set_host(request);
    join_cookies(request.headers_mut());
    *request.version_mut() = Version::HTTP_11;
    Ok(upgrade)
}

fn set_host<B>(request: &mut Request<B>) {
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
}

fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (cookies.next(), cookies.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for cookie in std::iter::once(second).chain(cookies) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(cookie.as_bytes());
    }
    if let Ok(joined) = HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)) {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests;
