//! Answers a client that sends HTTP without TLS, or redirects it to `https://`.
use crate::{proxy_header, reject::Rejection};
use anyport_core::Connection;
use bytes::Bytes;
use http::{
    Uri,
    uri::{Authority, Scheme},
};
use hyper::rt::ReadBuf;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How long the head of a redirected request may be, and how many fields it may have.
const MAX_HEAD_BYTES: usize = 8 * 1024;
const MAX_FIELDS: usize = 64;

/// Whether the first byte is an upper-case letter, as in a request. No TLS record begins with one
/// (RFC 8446 5.1).
pub(crate) fn is_http(first: &[u8]) -> bool {
    first.first().is_some_and(u8::is_ascii_uppercase) && proxy_header::error(first).is_none()
}

/// The response to a request that is not redirected.
pub(crate) fn bad_request() -> Rejection {
    let text = "This port serves HTTPS: begin the address with https:// instead of http://.\n";
    rejection("400 Bad Request", "", text)
}

fn rejection(status: &str, fields: &str, text: &str) -> Rejection {
    let response = format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    Rejection {
        error: io::Error::new(
            io::ErrorKind::InvalidData,
            "the peer sent plain HTTP instead of TLS",
        ),
        response: response.into(),
    }
}

/// Reads a request head, to redirect its client.
pub(crate) struct PlaintextHttp<C> {
    io: C,
    head: Vec<u8>,
}

impl<C: Connection> PlaintextHttp<C> {
    pub(crate) fn new(io: C, first: &Bytes) -> Self {
        Self {
            io,
            head: first.to_vec(),
        }
    }

    pub(crate) fn into_inner(self) -> C {
        self.io
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Rejection> {
        loop {
            match redirect(&self.head) {
                Ok(None) if self.head.len() < MAX_HEAD_BYTES => {}
                Ok(Some(location)) => {
                    let fields = format!("Location: {location}\r\n");
                    let text = format!("This port serves HTTPS: {location}\n");
                    return Poll::Ready(rejection("308 Permanent Redirect", &fields, &text));
                }
                Ok(None) | Err(()) => return Poll::Ready(bad_request()),
            }
            let mut scratch = [const { MaybeUninit::uninit() }; 1024];
            let mut buf = ReadBuf::uninit(&mut scratch);
            match ready!(Pin::new(&mut self.io).poll_read(cx, buf.unfilled())) {
                Ok(()) if !buf.filled().is_empty() => self.head.extend_from_slice(buf.filled()),
                _ => return Poll::Ready(bad_request()),
            }
        }
    }
}

/// The `https://` URL of a request (RFC 9110 15.4.9, 7.1). `None`: the head is incomplete.
fn redirect(head: &[u8]) -> Result<Option<String>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    if request.parse(head).map_err(|_| ())?.is_partial() {
        return Ok(None);
    }
    let target: Uri = request.path.ok_or(())?.parse().map_err(|_| ())?;
    let mut hosts = request
        .headers
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("host"));
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.value).map_err(|_| ())?,
        _ => return Err(()),
    };
    // The authority of a target in absolute form takes precedence (RFC 9112 3.2.2).
    let host = target.authority().unwrap_or(&host);
    let path = target.path_and_query().ok_or(())?.as_str();
    let is_http = target.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
    match is_http
        && is_host(host)
        && path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_graphic())
    {
        true => Ok(Some(format!("https://{host}{path}"))),
        false => Err(()),
    }
}

/// Whether this is exactly one host, with a valid port if it has one.
fn is_host(host: &Authority) -> bool {
    let name = host.host();
    let has_port = host.as_str().len() > name.len();
    !name.is_empty()
        && !host.as_str().contains(['@', ','])
        && (!has_port || host.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect_of(target: &str, host: &str) -> Result<Option<String>, ()> {
        redirect(format!("GET {target} HTTP/1.1\r\n{host}\r\n").as_bytes())
    }

    #[test]
    fn redirect_points_to_the_requested_url() {
        let to = |location: &str| Ok(Some(location.to_owned()));
        assert_eq!(
            redirect_of("/a?b=c", "Host: example.com\r\n"),
            to("https://example.com/a?b=c")
        );
        assert_eq!(
            redirect_of("/", "hOST: [::1]:8443\r\n"),
            to("https://[::1]:8443/")
        );
        assert_eq!(
            redirect_of("http://a.example/x", "Host: b.example\r\n"),
            to("https://a.example/x")
        );
        assert_eq!(
            redirect_of("//evil.example/x", "Host: a.example\r\n"),
            to("https://a.example//evil.example/x")
        );
        assert_eq!(
            redirect(b"GET / HTTP/1.1\r\nHost: a"),
            Ok(None),
            "the head is incomplete"
        );
    }

    #[test]
    fn request_without_a_valid_host_is_not_redirected() {
        for (target, host) in [
            ("/", ""),
            ("/", "Host: \r\n"),
            ("/", "Host: a.example\r\nHost: b.example\r\n"),
            ("/", "Host: user@a.example\r\n"),
            ("/", "Host: a.example/b\r\n"),
            ("/", "Host: a b\r\n"),
            ("/", "Host: a,b\r\n"),
            ("/", "Host: a:port\r\n"),
            ("/", "Host: a:\r\n"),
            ("/", "Host: a:99999\r\n"),
            ("ftp://a/", "Host: a\r\n"),
            ("*", "Host: a.example\r\n"),
            ("a.example:443", "Host: a.example\r\n"),
            ("/\u{e9}", "Host: a.example\r\n"),
        ] {
            assert_eq!(redirect_of(target, host), Err(()), "{target} {host}");
        }
        assert_eq!(redirect(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Err(()));
    }
}
