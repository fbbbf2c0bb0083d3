//! The fields that belong to one connection.
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, CONTENT_LENGTH, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// Fields of one connection that the `http` crate does not name.
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Removes the fields that belong to one connection, as a proxy must before it forwards a message
/// (RFC 9110 7.6.1, RFC 9113 8.2.2). It is for requests and for responses.
///
/// | field | what happens |
/// |---|---|
/// | `Connection`, and each field that it names | removed. `Host` stays, even if it is named: every request needs it |
/// | `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings` | removed |
/// | `TE` | `TE: trailers` if it has that element, else removed. gRPC needs it |
/// | `Proxy-Authenticate`, `Proxy-Authentication-Info`, `Proxy-Authorization` | removed |
/// | `Content-Length` beside `Transfer-Encoding` | removed: it is wrong (RFC 9112 6.3) |
///
/// Add fields of your own, such as [`Forwarded`](super::Forwarded), afterwards. Otherwise, a client
/// can have them removed by `Connection: forwarded`.
///
/// Returns the value of `Upgrade` if `Connection` names that field, as RFC 9110 7.8 demands.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) -> Option<HeaderValue> {
    // Most messages of HTTP/2 and many of HTTP/1.1 have no such field.
    if !headers.keys().any(is_hop_by_hop) {
        return None;
    }
    let upgrade = remove_named(headers);
    let accepts_trailers = elements(headers, &TE).any(|te| te.eq_ignore_ascii_case(b"trailers"));
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in REMOVED {
        headers.remove(name);
    }
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    upgrade
}

const REMOVED: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY_AUTHORIZATION,
];

fn is_hop_by_hop(name: &HeaderName) -> bool {
    REMOVED.contains(name)
}

/// Removes what `Connection` names, except the fields that are handled elsewhere.
fn remove_named(headers: &mut HeaderMap) -> Option<HeaderValue> {
    let mut upgrade = None;
    let options: Vec<_> = headers.get_all(CONNECTION).iter().cloned().collect();
    for option in options.iter().flat_map(elements_of) {
        // An option that cannot name a field is ignored.
        let Ok(name) = HeaderName::from_bytes(option) else {
            continue;
        };
        if name == UPGRADE {
            upgrade = sole(headers, &UPGRADE);
        } else if name != HOST && !is_hop_by_hop(&name) {
            headers.remove(name);
        }
    }
    upgrade
}

/// The value of a field that occurs once.
fn sole(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.clone()),
        _ => None,
    }
}

/// The elements of a field that is a list.
pub(super) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().flat_map(elements_of)
}

fn elements_of(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|&byte| byte == b',');
    elements.map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests;
