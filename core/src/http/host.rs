//! The `Host` rules, which hyper leaves to the server.
use http::{HeaderMap, HeaderValue, Request, Version, header::HOST, uri::Authority};

/// What's wrong with a request's host, as the text of the 400 that answers it.
pub(super) type Wrong = &'static str;

/// Checks a request's host, and makes an absolute-form target win over `Host`.
///
/// - HTTP/1.1: exactly one `Host`, with a valid value, which may be empty (RFC 9112 3.2).
/// - HTTP/1.0: at most one.
/// - HTTP/2: `:authority`, or one `Host`, or both if they're the same (RFC 9113 8.3.1).
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), Wrong> {
    let version = request.version();
    let host = sole_host(request.headers())?;
    match (host, request.uri().authority()) {
        (None, _) if version == Version::HTTP_11 => Err("HTTP/1.1 needs a Host header (RFC 9112 3.2)\n"),
        (None, None) if version == Version::HTTP_2 => {
            Err("HTTP/2 needs :authority or Host (RFC 9113 8.3.1)\n")
        }
        (None, _) => Ok(()),
        (Some(host), _) if !is_host(host.as_bytes()) => Err("the Host header is not a host (RFC 9112 3.2)\n"),
        (Some(_), None) => Ok(()),
        (Some(host), Some(authority)) if version == Version::HTTP_2 => {
            if host
                .as_bytes()
                .eq_ignore_ascii_case(host_of(authority).as_bytes())
            {
                Ok(())
            } else {
                Err(":authority and Host are not the same (RFC 9113 8.3.1)\n")
            }
        }
        (Some(_), Some(authority)) => {
            // RFC 9112 3.2.2: the received Host is ignored, the target's is used instead.
            let host = HeaderValue::from_str(host_of(authority));
            let host = host.map_err(|_| "the request target has no valid host (RFC 9112 3.2.2)\n")?;
            request.headers_mut().insert(HOST, host);
            Ok(())
        }
    }
}

fn sole_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Wrong> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (host, None) => Ok(host),
        _ => Err("a request may have one Host header only (RFC 9112 3.2)\n"),
    }
}

/// The authority without user information, which a `Host` never has.
fn host_of(authority: &Authority) -> &str {
    authority
        .as_str()
        .rsplit_once('@')
        .map_or(authority.as_str(), |(_, host)| host)
}

/// `uri-host [ ":" port ]` of RFC 3986 3.2.2 and 3.2.3: by its characters, not resolved. Empty is allowed.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', ..] => match host.iter().position(|&b| b == b']') {
            Some(end) if host[1..end].iter().all(is_ip_literal) && end > 1 => (&host[..0], &host[end + 1..]),
            _ => return false,
        },
        _ => host.split_at(host.iter().position(|&b| b == b':').unwrap_or(host.len())),
    };
    name.iter().all(is_reg_name)
        && match port {
            [] => true,
            [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
            _ => false,
        }
}

fn is_ip_literal(b: &u8) -> bool {
    matches!(b, b':' | b'.') || is_reg_name(b)
}

/// `unreserved`, `pct-encoded` and `sub-delims` of RFC 3986. A table, since each request's host goes through it.
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

    fn request(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, Wrong> {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut request = request.body(()).unwrap();
        check(&mut request)?;
        Ok(request
            .headers()
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
    fn an_absolute_target_wins_over_host() {
        let v = Version::HTTP_11;
        assert_eq!(
            request(v, "http://right:81/", &["wrong"]),
            Ok(Some("right:81".into()))
        );
        assert_eq!(
            request(v, "http://user@right/", &["wrong"]),
            Ok(Some("right".into()))
        );
    }

    #[test]
    fn http_1_0_may_have_no_host() {
        assert_eq!(request(Version::HTTP_10, "/", &[]), Ok(None));
        assert!(request(Version::HTTP_10, "/", &["a", "b"]).is_err());
    }

    #[test]
    fn http_2_has_an_authority_or_a_host_or_the_same_in_both() {
        let v = Version::HTTP_2;
        assert_eq!(request(v, "http://a/", &[]), Ok(None));
        assert_eq!(request(v, "/", &["a"]), Ok(Some("a".into())));
        assert_eq!(request(v, "http://a:1/", &["A:1"]), Ok(Some("A:1".into())));
        assert!(request(v, "http://a/", &["b"]).is_err());
        assert!(request(v, "/", &[]).is_err());
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
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
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b", "a/b", "a:b", "a@b", "[::1", "[]", "[::1]x", "a:1:2", "a\u{e9}", "a?b", "a#b", "<a>",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }
}
