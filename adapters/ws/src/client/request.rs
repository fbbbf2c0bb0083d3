//! The address, and the request for it.
use super::{ClientHandshake, Failure};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, header,
    uri::{PathAndQuery, Scheme},
};
use std::fmt;
use tungstenite::handshake::client::generate_key;

/// The headers that the handshake sets itself, or that a request without a body must not have.
const RESERVED: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
];

/// Parses `ws://host:port/path?query` (RFC 6455 3), and replaces the scheme by that of HTTP.
pub(super) fn parse(address: &str) -> Result<Uri, Failure> {
    let invalid = |what: &'static str| Failure::invalid(what);
    let uri: Uri = address
        .parse()
        .map_err(|error| Failure::invalid(format!("not an address: {error}")))?;
    let scheme = match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
        Some("ws") => Scheme::HTTP,
        Some("wss") => Scheme::HTTPS,
        _ => return Err(invalid("the address must begin with ws:// or wss://")),
    };
    let mut parts = uri.into_parts();
    match &parts.authority {
        Some(authority) if authority.as_str().contains('@') => {
            return Err(invalid(
                "the address has a user or a password (send them in the header `Authorization`)",
            ));
        }
        Some(authority) if !authority.host().is_empty() => {
            if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
                return Err(invalid(
                    "the port of the address is not a number below 65536",
                ));
            }
        }
        _ => return Err(invalid("the address has no host")),
    }
    parts.scheme = Some(scheme);
    if parts
        .path_and_query
        .as_ref()
        .is_none_or(|path| path.as_str().is_empty())
    {
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
    }
    Uri::from_parts(parts).map_err(|error| Failure::invalid(format!("not an address: {error}")))
}

/// The address for an error: on one line, and without a password.
pub(super) fn shown(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://..{}", &rest[at..]),
        None => address.to_owned(),
    }
    .escape_debug()
    .to_string()
}

/// Shows the address with the scheme that the user wrote.
pub(super) struct Address<'a>(pub(super) &'a Uri);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.0.scheme() == Some(&Scheme::HTTPS) {
            true => "wss",
            false => "ws",
        };
        let authority = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        write!(f, "{scheme}://{authority}{}", self.0.path())
    }
}

/// The request, and what the response is checked against.
pub(super) struct Offer<'a> {
    pub(super) handshake: &'a ClientHandshake,
    pub(super) key: String,
    headers: HeaderMap,
}

impl<'a> Offer<'a> {
    pub(super) fn new(handshake: &'a ClientHandshake) -> Result<Self, Failure> {
        let mut headers = handshake.headers.clone();
        if let Some(name) = RESERVED.iter().find(|name| headers.contains_key(*name)) {
            return Err(Failure::invalid(format!(
                "the handshake itself sets or excludes the header {name} (the host is in the address, subprotocols and compression are in the `Config`)"
            )));
        }
        headers.insert(
            header::SEC_WEBSOCKET_VERSION,
            HeaderValue::from_static("13"),
        );
        let settings = handshake.config.settings();
        if let Some(protocols) = protocols(&settings.protocols)? {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        }
        #[cfg(feature = "deflate")]
        if let Some(deflate) = settings.deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, deflate.offer());
        }
        Ok(Self {
            handshake,
            key: generate_key(),
            headers,
        })
    }

    /// The request of RFC 6455 4.1.
    pub(super) fn http1(&self) -> Result<Request<String>, Failure> {
        let uri = &self.handshake.uri;
        let invalid = |_| Failure::invalid("the host cannot be sent in a header");
        let mut headers = HeaderMap::new();
        let host = uri.authority().map_or("", |authority| authority.as_str());
        // RFC 6455 4.1: without the port, if it is the default one.
        let host = match uri.port_u16() {
            Some(80) if !self.handshake.is_secure() => self.handshake.host(),
            Some(443) if self.handshake.is_secure() => self.handshake.host(),
            _ => host,
        };
        headers.insert(header::HOST, HeaderValue::from_str(host).map_err(invalid)?);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(
            header::SEC_WEBSOCKET_KEY,
            HeaderValue::from_str(&self.key).map_err(invalid)?,
        );
        headers.extend(self.headers.clone());
        let mut request = Request::new(String::new());
        *request.uri_mut() = uri
            .path_and_query()
            .cloned()
            .map_or_else(Uri::default, Uri::from);
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// The request of RFC 8441 5.
    #[cfg(feature = "http2")]
    pub(super) fn http2(&self) -> Result<Request<String>, Failure> {
        let mut request = Request::new(String::new());
        *request.method_mut() = http::Method::CONNECT;
        *request.version_mut() = http::Version::HTTP_2;
        *request.uri_mut() = self.handshake.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let protocol = hyper::ext::Protocol::from_static("websocket");
        request.extensions_mut().insert(protocol);
        Ok(request)
    }
}

/// The offered subprotocols: tokens, each once (RFC 6455 4.1).
fn protocols(offered: &[String]) -> Result<Option<HeaderValue>, Failure> {
    let is_token = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    for (n, name) in offered.iter().enumerate() {
        if !is_token(name) || offered[..n].contains(name) {
            return Err(Failure::invalid(format!(
                "{name:?} is not a subprotocol, or is offered twice (RFC 6455 4.1: tokens, each once)"
            )));
        }
    }
    match offered {
        [] => Ok(None),
        _ => HeaderValue::try_from(offered.join(", "))
            .map(Some)
            .map_err(|_| Failure::invalid("the subprotocols cannot be sent in a header")),
    }
}
