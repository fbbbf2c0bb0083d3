//! The rules for `Host`, which hyper leaves to the server.
use http::{HeaderMap, HeaderValue, Uri, Version, header::HOST, request::Parts, uri::Authority};
use std::cell::Cell;

/// The reason why a request's host is invalid. It is the text of the 400 response.
pub(super) type InvalidHost = &'static str;

/// Checks a request's host. The host of an absolute-form target replaces `Host`. `connect`: the
/// method is CONNECT.
///
/// - HTTP/1.1: exactly one `Host`, with a valid value, which may be empty (RFC 9112 3.2).
/// - HTTP/1.0: at most one.
/// - HTTP/2 and later: `:authority`, or one `Host`, or both if they are equal (RFC 9113 8.3.1).
/// - A host in the target: see [`check_target`].
pub(super) fn check(request: &mut Parts, connect: bool) -> Result<(), InvalidHost> {
    let version = request.version;
    // Nearly all requests have a path as their target, and one valid host.
    if version == Version::HTTP_11
        && request.uri.authority().is_none()
        && !connect
        && let Some(host) = host_if_headers_are_unique(&request.headers)
        && is_known_host(host.as_bytes())
    {
        return Ok(());
    }
    check_target(connect, &request.uri, version)?;
    let host = single_host(&request.headers)?;
    match (host, request.uri.authority()) {
        (None, _) if version == Version::HTTP_11 => {
            Err("HTTP/1.1 needs a Host header (RFC 9112 3.2)\n")
        }
        (None, None) if has_authority(version) => {
            Err("HTTP/2 and later need :authority or Host (RFC 9113 8.3.1)\n")
        }
        (None, _) => Ok(()),
        (Some(host), _) if !is_host(host.as_bytes()) => {
            Err("the Host header is not a host (RFC 9112 3.2)\n")
        }
        (Some(_), None) => Ok(()),
        (Some(host), Some(authority)) if has_authority(version) => {
            if host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes())
            {
                Ok(())
            } else {
                Err(":authority and Host are not the same (RFC 9113 8.3.1)\n")
            }
        }
        (Some(_), Some(authority)) => {
            // RFC 9112 3.2.2: the received Host is ignored, and the target's is used instead.
            let host = HeaderValue::from_str(authority.as_str());
            let host =
                host.map_err(|_| "the request target has no valid host (RFC 9112 3.2.2)\n")?;
            request.headers.insert(HOST, host);
            Ok(())
        }
    }
}

/// Whether requests have `:authority` instead of `Host`.
fn has_authority(version: Version) -> bool {
    version >= Version::HTTP_2
}

/// The host, if no header occurs twice. Comparing two lengths is quick, and shows that there is
/// only one host.
fn host_if_headers_are_unique(headers: &HeaderMap) -> Option<&HeaderValue> {
    if headers.len() != headers.keys_len() {
        return None;
    }
    // Clients send `Host` first (RFC 9110 7.2).
    match headers.iter().next() {
        Some((name, host)) if *name == HOST => Some(host),
        _ => headers.get(HOST),
    }
}

thread_local! {
    /// The valid host that was checked last on this thread. Most servers have few hosts.
    static KNOWN: Cell<Known> = const { Cell::new(Known { len: usize::MAX, bytes: [0; 40] }) };
}

#[derive(Clone, Copy)]
struct Known {
    len: usize,
    bytes: [u8; 40],
}

fn is_known_host(host: &[u8]) -> bool {
    let known = KNOWN.get();
    if host.len() == known.len && *host == known.bytes[..known.len] {
        return true;
    }
    let is_host = is_host(host);
    let mut known = Known {
        len: host.len(),
        bytes: [0; 40],
    };
    if is_host && let Some(bytes) = known.bytes.get_mut(..host.len()) {
        bytes.copy_from_slice(host);
        KNOWN.set(known);
    }
    is_host
}

/// The `Host` header, or `None` if there is none. Several are an error.
fn single_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, InvalidHost> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (host, None) => Ok(host),
        _ => Err("a request may have one Host header only (RFC 9112 3.2)\n"),
    }
}

/// Checks the form of the request's target and the host in it.
fn check_target(connect: bool, uri: &Uri, version: Version) -> Result<(), InvalidHost> {
    let Some(authority) = uri.authority() else {
        return match connect {
            true => Err("CONNECT needs a host and a port as its target (RFC 9110 9.3.6)\n"),
            false => Ok(()),
        };
    };
    match (connect, uri.scheme()) {
        (true, None) => check_authority(authority, Port::Required),
        // Extended CONNECT (RFC 8441 4): the target is a resource.
        (true, Some(_)) if has_authority(version) => check_authority(authority, Port::Optional),
        (true, Some(_)) => Err("CONNECT needs a host and a port as its target (RFC 9112 3.2.3)\n"),
        (false, None) => Err("a host alone is a target for CONNECT only (RFC 9112 3.2.3)\n"),
        (false, Some(_)) => check_authority(authority, Port::Optional),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Port {
    Optional,
    Required,
}

fn check_authority(authority: &Authority, port: Port) -> Result<(), InvalidHost> {
    let authority = authority.as_str().as_bytes();
    if authority.contains(&b'@') {
        return Err("the request target has user information (RFC 9110 4.2.4)\n");
    }
    if !is_host(authority) {
        return Err("the request target has no valid host (RFC 9112 3.2.2)\n");
    }
    if matches!(authority, [] | [b':', ..]) {
        return Err("the request target's host is empty (RFC 9110 4.2.1)\n");
    }
    // Digits come last in a host with a port; a bracket comes last in an IPv6 address without one.
    let end = authority.iter().rposition(|b| !b.is_ascii_digit());
    let has_port = end.is_some_and(|end| authority[end] == b':' && end + 1 < authority.len());
    if port == Port::Required && !has_port {
        return Err("CONNECT needs a port in its target (RFC 9110 9.3.6)\n");
    }
    Ok(())
}

/// `uri-host [ ":" port ]` of RFC 3986 3.2.2 and 3.2.3, checked by its characters. It may be empty.
fn is_host(host: &[u8]) -> bool {
    let name = match host {
        [b'[', rest @ ..] => match rest.iter().position(|&b| b == b']') {
            Some(end) if rest[..end].iter().all(is_ip_literal) && end > 0 => end + 2,
            _ => return false,
        },
        _ => host
            .iter()
            .position(|b| !is_reg_name(b))
            .unwrap_or(host.len()),
    };
    match &host[name..] {
        [] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    }
}

/// A valid port number. Empty: the scheme's default port.
fn is_port(digits: &[u8]) -> bool {
    const MAX: &[u8] = b"65535";
    let zeros = match digits.len() > MAX.len() {
        true => digits.iter().take_while(|digit| **digit == b'0').count(),
        false => 0,
    };
    let number = &digits[zeros..];
    digits.iter().all(u8::is_ascii_digit)
        && (number.len() < MAX.len() || (number.len() == MAX.len() && number <= MAX))
}

fn is_ip_literal(b: &u8) -> bool {
    matches!(b, b':' | b'.') || is_reg_name(b)
}

/// `unreserved`, `pct-encoded` and `sub-delims` of RFC 3986. A table, because the host of each
/// request is checked by it.
fn is_reg_name(b: &u8) -> bool {
    const ALLOWED: [bool; 256] = {
        let mut allowed = [false; 256];
        let others = b"-._~%!$&'()*+,;=";
        let mut b = 0;
        while b < 256 {
            allowed[b] = (b as u8).is_ascii_alphanumeric();
            b += 1;
        }
        let mut i = 0;
        while i < others.len() {
            allowed[others[i] as usize] = true;
            i += 1;
        }
        allowed
    };
    ALLOWED[usize::from(*b)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request};

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, InvalidHost> {
        ask(Method::GET, version, uri, hosts)
    }

    fn ask(
        method: Method,
        version: Version,
        uri: &str,
        hosts: &[&str],
    ) -> Result<Option<String>, InvalidHost> {
        let mut request = Request::builder().method(method).version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (mut request, ()) = request.body(()).unwrap().into_parts();
        let connect = request.method == Method::CONNECT;
        check(&mut request, connect)?;
        Ok(request
            .headers
            .get(HOST)
            .map(|h| h.to_str().unwrap().to_owned()))
    }

    #[test]
    fn http_1_1_needs_exactly_one_host() {
        let v = Version::HTTP_11;
        assert!(request(v, "/", &[]).is_err());
        assert!(request(v, "/", &["a", "a"]).is_err());
        assert!(request(v, "http://a/", &[]).is_err());
        assert_eq!(request(v, "/", &["a"]), Ok(Some("a".into())));
        assert_eq!(request(v, "/", &[""]), Ok(Some("".into())));
    }

    #[test]
    fn absolute_target_replaces_host() {
        let v = Version::HTTP_11;
        assert_eq!(
            request(v, "http://right:81/", &["wrong"]),
            Ok(Some("right:81".into()))
        );
    }

    #[test]
    fn host_of_a_target_is_checked() {
        for (uri, what) in [
            ("http://:80/", "is empty"),
            ("http://user@a/", "user information"),
            ("http://user:secret@a:80/", "user information"),
            ("http://a@b@c/", "user information"),
            ("http://a:65536/", "no valid host"),
            ("http://[::1]:99999999999999999999/", "no valid host"),
        ] {
            for (version, hosts) in [
                (Version::HTTP_11, &["a"][..]),
                (Version::HTTP_10, &[]),
                (Version::HTTP_2, &[]),
            ] {
                let wrong = request(version, uri, hosts).unwrap_err();
                assert!(wrong.contains(what), "{uri} in {version:?}: {wrong}");
            }
        }
        assert_eq!(
            request(Version::HTTP_11, "http://[::1]:65535/", &["a"]),
            Ok(Some("[::1]:65535".into()))
        );
        assert_eq!(
            request(Version::HTTP_11, "http://a:/", &["b"]),
            Ok(Some("a:".into()))
        );
    }

    #[test]
    fn authority_form_is_for_connect_only() {
        for uri in ["a:80", "a", "[::1]:80"] {
            let wrong = request(Version::HTTP_11, uri, &["a"]).unwrap_err();
            assert!(wrong.contains("CONNECT only"), "{uri}: {wrong}");
        }
        // OPTIONS of the server as a whole (RFC 9112 3.2.4).
        let whole = ask(Method::OPTIONS, Version::HTTP_11, "*", &["a"]);
        assert_eq!(whole, Ok(Some("a".into())));
    }

    #[test]
    fn connect_needs_a_host_and_a_port() {
        let connect = |version, uri| ask(Method::CONNECT, version, uri, &[]);
        for version in [Version::HTTP_10, Version::HTTP_2] {
            for good in ["a:80", "[::1]:80", "127.0.0.1:1"] {
                assert_eq!(connect(version, good), Ok(None), "{good}");
            }
            for bad in [
                "a",
                "[::1]",
                "127.0.0.1",
                "a:",
                ":80",
                "u@a:80",
                "a:65536",
                "/",
                "*",
            ] {
                assert!(connect(version, bad).is_err(), "{bad} in {version:?}");
            }
        }
        assert!(connect(Version::HTTP_10, "http://a:80/").is_err());
        // RFC 8441.
        assert_eq!(connect(Version::HTTP_2, "http://a/chat"), Ok(None));
    }

    #[test]
    fn http_1_0_may_have_no_host() {
        assert_eq!(request(Version::HTTP_10, "/", &[]), Ok(None));
        assert!(request(Version::HTTP_10, "/", &["a", "b"]).is_err());
    }

    #[test]
    fn http_2_needs_an_authority_or_a_host_or_both_equal() {
        let v = Version::HTTP_2;
        assert_eq!(request(v, "http://a/", &[]), Ok(None));
        assert_eq!(request(v, "/", &["a"]), Ok(Some("a".into())));
        assert_eq!(request(v, "http://a:1/", &["A:1"]), Ok(Some("A:1".into())));
        assert!(request(v, "http://a/", &["b"]).is_err());
        assert!(request(v, "/", &[]).is_err());
    }

    #[test]
    fn host_is_a_name_or_an_address_with_an_optional_port() {
        for good in [
            "",
            "a",
            "a.b-c",
            "a:80",
            "a:",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "[v1.a]",
            "a%20b",
            ":80",
            "a:65535",
            "a:00080",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b",
            "a/b",
            "a:b",
            "a@b",
            "[::1",
            "[]",
            "[::1]x",
            "a:1:2",
            "a\u{e9}",
            "a?b",
            "a#b",
            "<a>",
            "a:65536",
            "[::1]:4294967376",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
