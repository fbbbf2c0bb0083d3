//! Where a reverse proxy sends its requests.
use crate::{EitherFactory, Fixed, MakeConnection};
use anyport_core::transport::{Connector, Endpoint, UnixName};
use http::{Request, Uri};
use std::{error, fmt, mem, path::Path, str::FromStr, sync::Arc};

/// The server that a reverse proxy forwards to: `http://HOST:PORT`, `https://HOST:PORT`, or the
/// path of a Unix socket, `unix:/run/app.sock`.
///
/// ```
/// # use anyport_client::proxy::Target;
/// # use http::Request;
/// let target: Target = "http://10.0.0.7:8080".parse().unwrap();
/// let mut request = Request::get("/a?b").header("host", "example.com").body(()).unwrap();
/// target.set_on(&mut request);
/// assert_eq!(request.uri(), "http://10.0.0.7:8080/a?b");
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    uri: Uri,
    socket: Option<Arc<Path>>,
}

impl Target {
    /// Sets the scheme and the authority of a request, and keeps its path and query.
    ///
    /// `Host` stays as it is: the target sees which host the client asked for.
    pub fn set_on<B>(&self, request: &mut Request<B>) {
        let mut parts = mem::take(request.uri_mut()).into_parts();
        parts.scheme = self.uri.scheme().cloned();
        parts.authority = self.uri.authority().cloned();
        if parts.path_and_query.is_none() {
            parts.path_and_query = self.uri.path_and_query().cloned();
        }
        // Any path is a part of a URI that has an authority.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone());
    }

    /// The connection factory for this target. `hosts` connects to a host, and `sockets` to a Unix
    /// socket.
    pub fn factory<F, C>(&self, hosts: F, sockets: C) -> EitherFactory<F, Fixed<C>>
    where
        F: MakeConnection,
        C: Connector,
    {
        match &self.socket {
            None => EitherFactory::Left(hosts),
            Some(path) => {
                let socket = Endpoint::Unix(UnixName::Path(Arc::clone(path)));
                EitherFactory::Right(Fixed::new(sockets, socket))
            }
        }
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let invalid = || InvalidTarget(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let socket = Some(Path::new(path).into()).filter(|_| !path.is_empty());
            return Ok(Self {
                uri: Uri::from_static("http://localhost"),
                socket: Some(socket.ok_or_else(invalid)?),
            });
        }
        let uri: Uri = text.parse().map_err(|_| invalid())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        // A path would have to be joined with those of the requests.
        match is_http && has_host && matches!(uri.path(), "" | "/") && uri.query().is_none() {
            true => Ok(Self { uri, socket: None }),
            false => Err(invalid()),
        }
    }
}

/// The error of a text that is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTarget(String);

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = "http://HOST:PORT, https://HOST:PORT, or unix:PATH";
        write!(f, "{:?} is not a target (use {forms})", self.0)
    }
}

impl error::Error for InvalidTarget {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_a_host_or_the_path_of_a_socket() {
        for (text, uri, path) in [
            ("http://a", "http://a/", None),
            ("https://a:8443/", "https://a:8443/", None),
            ("http://[::1]:80", "http://[::1]:80/", None),
            (
                "unix:/run/app.sock",
                "http://localhost/",
                Some("/run/app.sock"),
            ),
            ("unix:app.sock", "http://localhost/", Some("app.sock")),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.uri, uri, "{text}");
            assert_eq!(target.socket.as_deref(), path.map(Path::new), "{text}");
        }
        for text in [
            "",
            "a",
            "a:80",
            "/run/app.sock",
            "unix:",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a/?b",
            "http://a b",
            "//a",
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            let begin = format!("{text:?} is not a target (use http://HOST:PORT, ");
            assert!(error.starts_with(&begin), "{error}");
        }
    }

    #[test]
    fn target_replaces_the_authority_and_keeps_the_path() {
        let target: Target = "https://target:8443".parse().unwrap();
        for (from, to) in [
            ("/", "https://target:8443/"),
            ("/a?b=c", "https://target:8443/a?b=c"),
            ("//a/b", "https://target:8443//a/b"),
            ("http://client/a", "https://target:8443/a"),
            ("*", "https://target:8443*"),
        ] {
            let mut request = Request::get(from)
                .header("host", "client")
                .body(())
                .unwrap();
            target.set_on(&mut request);
            assert_eq!(request.uri().to_string(), to, "{from}");
            assert_eq!(request.headers()["host"], "client");
        }
    }
}
