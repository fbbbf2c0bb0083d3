//! HTTP without TLS: answered with 400, or redirected.
use super::{connect, read_all, response_to};
use crate::{
    client::Authority,
    fixture::{TestServer, over_tcp},
};
use std::io::{self, Write};

#[test]
fn plain_http_gets_a_400_response() {
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /upload HTTP/1.0\r\n",
        "G",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (received, kind, error) = response_to(request.as_bytes());
        assert_eq!(
            (&*error, kind),
            (
                "the peer sent plain HTTP instead of TLS",
                io::ErrorKind::InvalidData
            )
        );
        let text = "This port serves HTTPS: begin the address with https:// instead of http://.\n";
        let response = format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        assert_eq!(String::from_utf8_lossy(&received), response);
    }
}

#[test]
fn plain_http_is_redirected_if_enabled() {
    for (request, status, location) in [
        (
            "GET /a?b HTTP/1.1\r\nHost: localhost:8443\r\n\r\n",
            "308",
            Some("https://localhost:8443/a?b"),
        ),
        (
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
            "308",
            Some("https://localhost/upload"),
        ),
        ("GET / HTTP/1.0\r\n\r\n", "400", None),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400", None),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400", None),
    ] {
        // Byte by byte, and all at once.
        for at_once in [1, request.len()] {
            let server =
                TestServer::start(over_tcp(Authority::new().server().with_https_redirect()));
            let mut stream = connect(&server);
            for part in request.as_bytes().chunks(at_once) {
                // A response may arrive before the whole request is sent.
                let _ = stream.write_all(part);
            }
            let received = String::from_utf8(read_all(&mut stream)).unwrap();
            assert!(
                received.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {received}"
            );
            let got = received
                .lines()
                .find_map(|line| line.strip_prefix("Location: "));
            assert_eq!(got, location, "{request}");
            assert_eq!(
                server.log.single_failure().1,
                "the peer sent plain HTTP instead of TLS"
            );
            server.shut_down();
        }
    }
}
