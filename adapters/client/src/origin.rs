//! The target of a request: what connections are pooled by.
use crate::{Error, error::ErrorKind};
use http::{
    HeaderValue, Request, Uri,
    uri::{Authority, Scheme},
};
use std::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// The scheme, the host and the port of a request, and the app's [`PoolKey`]. Each origin has a
/// pool of its own.
#[derive(Clone, Debug)]
pub struct Origin {
    https: bool,
    host: Arc<str>,
    port: u16,
    key: Option<PoolKey>,
}

/// Separates the connections of one origin: an extension of a request. Requests with different keys
/// never share a connection.
///
/// It is for connections with an identity, such as one that is authenticated as a user. A
/// [connection factory](crate::MakeConnection) can read it.
///
/// ```
/// # use anyport_client::PoolKey;
/// let mut request = http::Request::get("http://example.com/").body(())?;
/// request.extensions_mut().insert(PoolKey::new("tenant-7"));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey(Arc<str>);

impl PoolKey {
    /// A key with this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Origin {
    /// Whether the scheme is `https`. Otherwise it is `http`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. Without one in the URI, it is 80, or 443 with `https`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The app's key.
    #[must_use]
    pub fn key(&self) -> Option<&PoolKey> {
        self.key.as_ref()
    }

    /// The value of `Host` for this origin (RFC 9110, section 7.2).
    pub(crate) fn host_value(&self) -> Option<HeaderValue> {
        let default = self.port == default_port(self.https);
        let text = match default {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        };
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != default_port(self.https) {
            write!(f, ":{}", self.port)?;
        }
        match &self.key {
            Some(key) => write!(f, " (key {:?})", key.name()),
            None => Ok(()),
        }
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

/// An origin that borrows from a request, so that a look-up allocates nothing.
pub(crate) struct OriginRef<'a> {
    https: bool,
    host: &'a str,
    port: u16,
    key: Option<&'a PoolKey>,
}

impl<'a> OriginRef<'a> {
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub(crate) fn of<B>(request: &'a Request<B>) -> Result<Self, Error> {
        Self::new(request.uri(), request.extensions().get::<PoolKey>())
    }

    /// # Errors
    ///
    /// The URI has no scheme, no host, or a scheme other than `http` and `https`.
    pub(crate) fn new(uri: &'a Uri, key: Option<&'a PoolKey>) -> Result<Self, Error> {
        let invalid = |what: &str, advice: &str| {
            let text = format!(
                "cannot send a request to `{}`: {what} ({advice})",
                Brief(uri)
            );
            Error::new(ErrorKind::InvalidRequest, text)
        };
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) => return Err(invalid("unknown scheme", "use `http` or `https`")),
            None => {
                let advice = "use the form `http://host/path`";
                return Err(invalid("the URI has no scheme and host", advice));
            }
        };
        let host = uri.authority().map(Authority::host).unwrap_or_default();
        if host.is_empty() {
            return Err(invalid(
                "the URI has no host",
                "use the form `http://host/path`",
            ));
        }
        Ok(Self {
            https,
            host,
            port: uri.port_u16().unwrap_or_else(|| default_port(https)),
            key,
        })
    }

    pub(crate) fn to_origin(&self) -> Origin {
        Origin {
            https: self.https,
            host: self.host.to_ascii_lowercase().into(),
            port: self.port,
            key: self.key.cloned(),
        }
    }
}

/// What a request says of its origin, as it is written. To compare it is cheaper than a look-up.
#[derive(Debug)]
pub(crate) struct LastOrigin {
    scheme: Scheme,
    authority: Authority,
    key: Option<PoolKey>,
}

impl LastOrigin {
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        Some(Self {
            scheme: request.uri().scheme()?.clone(),
            authority: request.uri().authority()?.clone(),
            key: request.extensions().get().cloned(),
        })
    }

    /// Whether this request has the same origin. If it is written otherwise, the answer is no.
    pub(crate) fn is_of<B>(&self, request: &Request<B>) -> bool {
        let uri = request.uri();
        uri.scheme() == Some(&self.scheme)
            && uri.authority().map(Authority::as_str) == Some(self.authority.as_str())
            && request.extensions().get() == self.key.as_ref()
    }
}

/// The beginning of a URI, for an error: its length is up to the caller of the client.
struct Brief<'a>(&'a Uri);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.char_indices().nth(80) {
            Some((end, _)) => write!(f, "{}...", &text[..end]),
            None => f.write_str(&text),
        }
    }
}

/// What an [`Origin`] and an [`OriginRef`] have in common. As a `dyn` type, it is the key by which
/// a map of origins is searched.
pub(crate) trait OriginParts {
    fn parts(&self) -> (bool, &str, u16, Option<&PoolKey>);
}

impl OriginParts for Origin {
    fn parts(&self) -> (bool, &str, u16, Option<&PoolKey>) {
        (self.https, &self.host, self.port, self.key.as_ref())
    }
}

impl OriginParts for OriginRef<'_> {
    fn parts(&self) -> (bool, &str, u16, Option<&PoolKey>) {
        (self.https, self.host, self.port, self.key)
    }
}

impl<'a> Borrow<dyn OriginParts + 'a> for Origin {
    fn borrow(&self) -> &(dyn OriginParts + 'a) {
        self
    }
}

impl Hash for dyn OriginParts + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (https, host, port, key) = self.parts();
        for byte in host.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        (https, port, key).hash(state);
    }
}

impl PartialEq for dyn OriginParts + '_ {
    fn eq(&self, other: &Self) -> bool {
        let ((https, host, port, key), theirs) = (self.parts(), other.parts());
        (https, port, key) == (theirs.0, theirs.2, theirs.3) && host.eq_ignore_ascii_case(theirs.1)
    }
}

impl Eq for dyn OriginParts + '_ {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn OriginParts).hash(state);
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        (self as &dyn OriginParts) == (other as &dyn OriginParts)
    }
}

impl Eq for Origin {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn origin(uri: &str) -> Result<Origin, Error> {
        let uri = uri.parse::<Uri>().unwrap();
        Ok(OriginRef::new(&uri, None)?.to_origin())
    }

    #[test]
    fn origins_are_equal_whatever_case_and_default_port() {
        for (one, other, same) in [
            ("http://a.test/x", "http://A.test:80/y", true),
            ("https://a.test/", "https://a.TEST:443", true),
            ("http://a.test/", "https://a.test/", false),
            ("http://a.test/", "http://a.test:443/", false),
            ("http://a.test/", "http://b.test/", false),
            ("http://user@a.test/", "http://a.test/", true),
        ] {
            let (one, uri) = (origin(one).unwrap(), other.parse::<Uri>().unwrap());
            let other = OriginRef::new(&uri, None).unwrap();
            let map = HashMap::from([(one.clone(), ())]);
            assert_eq!(map.contains_key(&other as &dyn OriginParts), same, "{one}");
        }
    }

    #[test]
    fn keys_separate_origins() {
        let uri = Uri::from_static("http://a.test/");
        let key = PoolKey::new("one");
        let with = OriginRef::new(&uri, Some(&key)).unwrap().to_origin();
        assert_ne!(with, origin("http://a.test/").unwrap());
        assert_eq!(with.to_string(), "http://a.test (key \"one\")");
    }

    #[test]
    fn host_value_has_the_port_unless_it_is_the_default() {
        for (uri, host) in [
            ("http://a.test:80/", "a.test"),
            ("https://a.test:80/", "a.test:80"),
            ("http://[::1]:8080/", "[::1]:8080"),
        ] {
            assert_eq!(origin(uri).unwrap().host_value().unwrap(), host);
        }
    }

    #[test]
    fn invalid_uris_are_errors_that_say_what_to_write() {
        let long = format!("/{}", "x".repeat(100));
        for (uri, text) in [
            (
                "/path",
                "cannot send a request to `/path`: the URI has no scheme and host (use the form `http://host/path`)",
            ),
            (
                "ftp://a.test/",
                "cannot send a request to `ftp://a.test/`: unknown scheme (use `http` or `https`)",
            ),
            (
                &long,
                &format!(
                    "cannot send a request to `/{}...`: the URI has no scheme and host (use the form `http://host/path`)",
                    "x".repeat(79)
                ),
            ),
        ] {
            assert_eq!(origin(uri).unwrap_err().to_string(), text);
        }
    }
}
