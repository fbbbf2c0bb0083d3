//! The fields by which a proxy names its client: `Forwarded` and `X-Forwarded-*`.
use anyport_core::{ConnInfo, transport::Endpoint};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{FORWARDED, HOST},
};
use std::{
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The fields that [`Forwarded::replace`] removes.
const REPLACED: [HeaderName; 5] = [
    FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_REAL_IP,
];

/// What a proxy tells its target about the client: one element of `Forwarded` (RFC 7239), and
/// `X-Forwarded-For`, `-Host` and `-Proto` on demand.
///
/// Call [`prepare_request`](super::prepare_request) before you add it to a request.
///
/// ```
/// # use anyport_client::proxy::{Forwarded, Node};
/// # use http::HeaderMap;
/// # use std::net::{IpAddr, Ipv6Addr};
/// let mut headers = HeaderMap::new();
/// let client = Node::from(IpAddr::from(Ipv6Addr::LOCALHOST));
/// Forwarded::new(client).with_proto("https").with_host("example.com").append(&mut headers);
/// assert_eq!(headers["forwarded"], "for=\"[::1]\";host=example.com;proto=https");
/// ```
#[derive(Clone, Debug)]
pub struct Forwarded {
    client: Node,
    by: Option<Node>,
    host: Option<String>,
    proto: Option<&'static str>,
    is_for_x: bool,
}

/// A client or a proxy in `Forwarded` (RFC 7239 6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Ip(IpAddr),
    WithPort(SocketAddr),
    Obfuscated(String),
}

impl Forwarded {
    /// An element that names the client.
    #[must_use]
    pub fn new(client: impl Into<Node>) -> Self {
        Self {
            client: client.into(),
            by: None,
            host: None,
            proto: None,
            is_for_x: false,
        }
    }

    /// An element with the peer of a connection, its scheme, and the request's `Host`.
    ///
    /// The scheme is `https` if the connection is encrypted, or if a trusted proxy says that its
    /// own is ([`ConnInfo::proxied`]).
    #[must_use]
    pub fn of<B>(info: &ConnInfo, request: &Request<B>) -> Self {
        let is_tls = match info.proxied() {
            Some(proxied) => proxied.tls.is_some() || info.tls().is_some(),
            None => info.tls().is_some(),
        };
        let this = Self::new(info.peer()).with_proto(if is_tls { "https" } else { "http" });
        match request.headers().get(HOST).map(HeaderValue::to_str) {
            Some(Ok(host)) => this.with_host(host),
            _ => this,
        }
    }

    /// Sets the proxy's own address or identifier, `by`.
    #[must_use]
    pub fn with_by(mut self, proxy: impl Into<Node>) -> Self {
        self.by = Some(proxy.into());
        self
    }

    /// Sets the host that the client asked for. A host with a comma, a semicolon, a quote or a
    /// backslash is left out: a target could take the rest of it for parameters.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into()).filter(|host| is_safe(host));
        self
    }

    /// Sets the scheme that the client used, such as `https`.
    #[must_use]
    pub fn with_proto(mut self, proto: &'static str) -> Self {
        self.proto = Some(proto).filter(|proto| is_token(proto));
        self
    }

    /// Sets `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`, too. They have no
    /// standard. `X-Forwarded-For` has IP addresses only: it gets `unknown` for other clients.
    #[must_use]
    pub fn with_x_forwarded(mut self) -> Self {
        self.is_for_x = true;
        self
    }

    /// Adds this element behind those that the client sent: for a proxy whose clients are trusted
    /// proxies.
    ///
    /// A `Forwarded` of the client whose quotes are not closed is removed. It would hide the new
    /// element. Without [`with_x_forwarded`](Self::with_x_forwarded), the client's `X-Forwarded-*`
    /// fields stay as they are. With it, its `X-Forwarded-Host` and `-Proto` stay if it has sent
    /// them.
    pub fn append(&self, headers: &mut HeaderMap) {
        if headers
            .get_all(FORWARDED)
            .iter()
            .any(|value| !is_closed(value))
        {
            headers.remove(FORWARDED);
        }
        self.add(headers);
    }

    /// Replaces all that the client sent: for a proxy whose clients are not trusted.
    ///
    /// It always removes `X-Forwarded-For`, `-Host`, `-Proto` and `X-Real-IP`, so the client cannot
    /// forge them.
    pub fn replace(&self, headers: &mut HeaderMap) {
        // Few clients send one, and a look is cheaper than five attempts to remove.
        if headers.keys().any(|name| REPLACED.contains(name)) {
            for name in REPLACED {
                headers.remove(name);
            }
        }
        self.add(headers);
    }

    fn add(&self, headers: &mut HeaderMap) {
        if let Ok(element) = HeaderValue::from_bytes(self.to_text().as_bytes()) {
            headers.append(FORWARDED, element);
        }
        if self.is_for_x {
            self.append_x(headers);
        }
    }

    /// The element: `for=192.0.2.1;host=example.com;proto=https`.
    fn to_text(&self) -> String {
        let host = self.host.as_deref().unwrap_or_default();
        let mut text = String::with_capacity(128 + host.len());
        text.push_str("for=");
        self.client.write_to(&mut text);
        if let Some(by) = &self.by {
            text.push_str(";by=");
            by.write_to(&mut text);
        }
        if !host.is_empty() {
            let quote = if is_token(host) { "" } else { "\"" };
            text.extend([";host=", quote, host, quote]);
        }
        if let Some(proto) = self.proto {
            text.extend([";proto=", proto]);
        }
        text
    }

    fn append_x(&self, headers: &mut HeaderMap) {
        let client = match &self.client.0 {
            Kind::Ip(ip) => ip.to_string(),
            Kind::WithPort(address) => address.ip().to_string(),
            Kind::Unknown | Kind::Obfuscated(_) => "unknown".to_owned(),
        };
        // Many programs read only one field of this name.
        let known = headers.get_all(X_FORWARDED_FOR).iter();
        let mut list: Vec<_> = known.filter_map(|value| value.to_str().ok()).collect();
        list.push(&client);
        if let Some(list) = value(list.join(", ")) {
            headers.insert(X_FORWARDED_FOR, list);
        }
        let others = [
            (X_FORWARDED_HOST, self.host.clone()),
            (X_FORWARDED_PROTO, self.proto.map(str::to_owned)),
        ];
        for (name, text) in others {
            if let Some(value) = text.and_then(value) {
                headers.entry(name).or_insert(value);
            }
        }
    }
}

/// The element: `for=192.0.2.1;host=example.com;proto=https`.
impl fmt::Display for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Node {
    /// A node that is not known, or not to be named.
    pub const UNKNOWN: Self = Self(Kind::Unknown);

    /// An identifier that hides an address. Letters, digits, `.`, `_` and `-`; RFC 7239 6.3 puts a
    /// `_` in front of it. `None`: `name` has other characters, or none.
    #[must_use]
    pub fn obfuscated(name: &str) -> Option<Self> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_name = !name.is_empty() && name.bytes().all(is_legal);
        is_name.then(|| Self(Kind::Obfuscated(name.to_owned())))
    }

    fn write_to(&self, text: &mut String) {
        // Writing to a string does not fail.
        let _ = match &self.0 {
            Kind::Unknown => text.write_str("unknown"),
            Kind::Ip(IpAddr::V4(ip)) => write!(text, "{ip}"),
            Kind::Ip(IpAddr::V6(ip)) => write!(text, "\"[{ip}]\""),
            // `SocketAddr` writes the scope of an address, too, which means nothing elsewhere.
            Kind::WithPort(address) => match address.ip() {
                IpAddr::V4(ip) => write!(text, "\"{ip}:{}\"", address.port()),
                IpAddr::V6(ip) => write!(text, "\"[{ip}]:{}\"", address.port()),
            },
            Kind::Obfuscated(name) => write!(text, "_{name}"),
        };
    }
}

/// The IP address without its port. Other endpoints, such as Unix sockets, have no form in RFC
/// 7239, and are unknown.
impl From<&Endpoint> for Node {
    fn from(endpoint: &Endpoint) -> Self {
        match endpoint.socket_addr() {
            Some(address) => address.ip().into(),
            None => Self::UNKNOWN,
        }
    }
}

impl From<IpAddr> for Node {
    fn from(ip: IpAddr) -> Self {
        Self(Kind::Ip(ip.to_canonical()))
    }
}

impl From<SocketAddr> for Node {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::WithPort(SocketAddr::new(
            address.ip().to_canonical(),
            address.port(),
        )))
    }
}

/// As in `Forwarded`: in quotes if it has a colon.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_to(&mut text);
        f.write_str(&text)
    }
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

/// `token` of RFC 9110 5.6.2.
fn is_token(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_legal)
}

/// Whether a text can stand in quotes, and contains nothing that separates elements.
fn is_safe(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b",;\"\\".contains(&byte))
}

/// Whether all quotes are closed.
fn is_closed(value: &HeaderValue) -> bool {
    let mut bytes = value.as_bytes().iter();
    let mut is_quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => _ = bytes.next(),
            _ => {}
        }
    }
    !is_quoted
}

#[cfg(test)]
mod tests;
