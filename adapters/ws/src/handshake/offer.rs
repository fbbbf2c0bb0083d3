//! Checks a client's handshake, and makes the response.
use super::{Opening, Rejection};
use crate::{config::Config, socket::Agreed};
use anyport_core::{Body, protocol::Upgraded};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header,
};
use std::{io, pin::Pin};
use tungstenite::handshake::derive_accept_key;

/// A valid handshake that waits for its response.
pub(crate) struct Offer {
    /// `Sec-WebSocket-Accept` for HTTP/1.1. `None` over HTTP/2.
    accept: Option<HeaderValue>,
    protocols: Vec<HeaderValue>,
    #[cfg(feature = "deflate")]
    extensions: Vec<HeaderValue>,
    origin: Option<HeaderValue>,
    upgraded: Pin<Box<dyn Future<Output = io::Result<Upgraded>> + Send>>,
}

impl Offer {
    pub(crate) fn of(
        method: &Method,
        version: Version,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<Self, Rejection> {
        let accept = match version {
            Version::HTTP_2 => check_http2(method, extensions).map(|()| None),
            _ => check_http1(method, version, headers).map(Some),
        }?;
        check_version(headers)?;
        let values = |name: HeaderName| headers.get_all(name).iter().cloned().collect();
        let mut request = Request::new(());
        std::mem::swap(request.extensions_mut(), extensions);
        let upgraded = Box::pin(Upgraded::on(&mut request));
        std::mem::swap(request.extensions_mut(), extensions);
        Ok(Self {
            accept: match accept {
                Some(key) => HeaderValue::try_from(derive_accept_key(key)).ok(),
                None => None,
            },
            protocols: values(header::SEC_WEBSOCKET_PROTOCOL),
            #[cfg(feature = "deflate")]
            extensions: values(header::SEC_WEBSOCKET_EXTENSIONS),
            origin: headers.get(header::ORIGIN).cloned(),
            upgraded,
        })
    }

    /// The index of the first of these subprotocols that the client offers.
    pub(crate) fn choose(&self, ours: &[String]) -> Option<u16> {
        let offers = |ours: &String| {
            let theirs = self
                .protocols
                .iter()
                .filter_map(|value| value.to_str().ok());
            let mut theirs = theirs.flat_map(|value| value.split(','));
            theirs.any(|theirs| theirs.trim() == ours.as_str())
        };
        let index = ours.iter().position(offers)?;
        index.try_into().ok()
    }

    pub(crate) fn answer(self, config: &Config) -> Result<(Response<Body>, Opening), Rejection> {
        let settings = config.settings();
        if let (Some(allows), Some(origin)) = (&settings.origin_check, &self.origin)
            && !allows(origin)
        {
            return Err(Rejection::new(
                StatusCode::FORBIDDEN,
                "pages of this origin may not open a WebSocket here (RFC 6455 4.2.2)\n",
            ));
        }
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let protocol = self.choose(&settings.protocols);
        let name = protocol.map(|index| &settings.protocols[usize::from(index)]);
        if let Some(value) = name.and_then(|name| HeaderValue::from_str(name).ok()) {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        #[cfg(feature = "deflate")]
        let deflate = settings
            .deflate
            .as_ref()
            .and_then(|deflate| deflate.agree(&self.extensions));
        #[cfg(feature = "deflate")]
        if let Some(agreed) = &deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, agreed.header());
        }
        if let Some(accept) = self.accept {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        let agreed = Agreed {
            protocol,
            #[cfg(feature = "deflate")]
            deflate,
        };
        Ok((response, Opening::new(self.upgraded, config, agreed)))
    }
}

/// Checks a request over HTTP/1.1 (RFC 6455 4.2.1), and returns the key.
fn check_http1<'a>(
    method: &Method,
    version: Version,
    headers: &'a HeaderMap,
) -> Result<&'a [u8], Rejection> {
    if method != Method::GET {
        let what = "a WebSocket request must use GET (RFC 6455 4.2.1)\n";
        return Err(
            Rejection::new(StatusCode::METHOD_NOT_ALLOWED, what).with_header(header::ALLOW, "GET")
        );
    }
    if version != Version::HTTP_11 {
        return Err(Rejection::bad(
            "a WebSocket needs HTTP/1.1 or HTTP/2 (RFC 6455 4.2.1)\n",
        ));
    }
    if !has_token(headers, header::CONNECTION, "upgrade")
        || !has_token(headers, header::UPGRADE, "websocket")
    {
        return Err(Rejection::new(
            StatusCode::UPGRADE_REQUIRED,
            "this path serves WebSockets only: send `Connection: upgrade` and `Upgrade: websocket` (RFC 6455 4.2.1)\n",
        ));
    }
    let length = headers.get(header::CONTENT_LENGTH);
    if headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
    {
        return Err(Rejection::bad("a WebSocket request must not have a body\n"));
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key.as_bytes()),
        _ => Err(Rejection::bad(
            "a WebSocket request must have one Sec-WebSocket-Key with 16 bytes in base64 (RFC 6455 4.2.1)\n",
        )),
    }
}

/// Checks a request over HTTP/2 (RFC 8441 4 and 5).
fn check_http2(method: &Method, extensions: &Extensions) -> Result<(), Rejection> {
    match protocol(extensions) {
        Some(protocol) if method == Method::CONNECT => {
            match protocol.eq_ignore_ascii_case("websocket") {
                true => Ok(()),
                false => Err(Rejection::new(
                    StatusCode::NOT_IMPLEMENTED,
                    "the only supported `:protocol` is websocket (RFC 8441 5)\n",
                )),
            }
        }
        _ => Err(Rejection::bad(
            "over HTTP/2, a WebSocket request must use CONNECT with `:protocol` (RFC 8441 5)\n",
        )),
    }
}

#[cfg(feature = "http2")]
fn protocol(extensions: &Extensions) -> Option<&str> {
    extensions
        .get::<hyper::ext::Protocol>()
        .map(hyper::ext::Protocol::as_str)
}

#[cfg(not(feature = "http2"))]
fn protocol(_: &Extensions) -> Option<&str> {
    None
}

fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION).iter();
    match (versions.next(), versions.next()) {
        (Some(version), None) if version == "13" => Ok(()),
        // RFC 6455 4.4
        _ => Err(Rejection::new(
            StatusCode::UPGRADE_REQUIRED,
            "the only supported version is 13 (RFC 6455 4.4)\n",
        )
        .with_header(header::SEC_WEBSOCKET_VERSION, "13")),
    }
}

/// Whether the header's comma-separated list contains this token.
pub(crate) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|other| other.trim().eq_ignore_ascii_case(token))
}

/// Whether the key is the base64 form of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    matches!(key.split_at_checked(22), Some((digits, b"==")) if digits.iter().all(is_base64))
}
