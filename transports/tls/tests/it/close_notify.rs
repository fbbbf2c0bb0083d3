//! Every end but an abort sends `close_notify` (RFC 8446 6.1): tokio-rustls returns an error for an
//! end without one.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::fixture::{TestServer, over_tcp};
use anyport_core::{HttpOptions, Timeouts};
use anyport_tls::rustls;
use rustls::ClientConfig;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEADLINE: Duration = Duration::from_millis(300);
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HTTP/2 frame types, and a SETTINGS frame without flags or content (RFC 9113 4.1, 6).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY: u8 = 7;

fn config(authority: &Authority, alpn: Option<&str>) -> ClientConfig {
    let mut config = authority.client_config(None);
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
    config
}

/// Sends `request`, stays connected, and returns all bytes until `close_notify`.
fn read_until_close(server: &TestServer, config: ClientConfig, request: &[u8]) -> Vec<u8> {
    server.run(async {
        let mut stream = Client::new(config)
            .handshake(server.connect().await)
            .await
            .unwrap();
        stream.write_all(request).await.unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).await.unwrap();
        response
    })
}

#[test]
fn head_timeout_ends_with_close_notify() {
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_head(DEADLINE);
    let server = TestServer::start(over_tcp(authority.server()).timeouts(timeouts));
    for (alpn, request) in [
        (None, ""),
        (None, "GET / HT"),
        (Some("http/1.1"), "GET / HTTP/1.1\r\nHost: local"),
        (Some("h2"), "PRI * HT"),
    ] {
        assert_eq!(
            read_until_close(&server, config(&authority, alpn), request.as_bytes()),
            b"",
            "{request}"
        );
    }
    server.shut_down();
    // On a busy machine, the client may be too late for its first request. The timeout is longer
    // then.
    let second_is_closed = |times: u32| {
        let timeouts = Timeouts::default().with_head(times * DEADLINE);
        let server = TestServer::start(over_tcp(authority.server()).timeouts(timeouts));
        let first = read_until_close(
            &server,
            config(&authority, None),
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n",
        );
        server.shut_down();
        println!("{}", String::from_utf8_lossy(&first));
        first.ends_with(b"Hello")
    };
    assert!([1, 10, 100].into_iter().any(second_is_closed));
}

#[test]
fn keep_alive_timeout_ends_with_close_notify() {
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_keep_alive(DEADLINE);
    let server = TestServer::start(over_tcp(authority.server()).timeouts(timeouts));
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert!(read_until_close(&server, config(&authority, None), request).ends_with(b"Hello"));
    let request = [PREFACE.as_bytes(), SETTINGS].concat();
    let frames = read_until_close(&server, config(&authority, Some("h2")), &request);
    assert!(frame_types(&frames).contains(&GOAWAY), "{frames:?}");
    server.shut_down();
}

#[test]
fn http1_after_alpn_h2_ends_with_close_notify() {
    let authority = Authority::new();
    for server in crate::servers(&authority) {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(
            read_until_close(&server, config(&authority, Some("h2")), request),
            b""
        );
        server.shut_down();
    }
}

/// RFC 9113 3.2
#[test]
fn http2_without_alpn_is_refused() {
    let authority = Authority::new();
    let request = [PREFACE.as_bytes(), SETTINGS].concat();
    for server in crate::servers(&authority) {
        let frames = read_until_close(&server, config(&authority, None), &request);
        assert_eq!(frame_types(&frames), [SETTINGS[3], GOAWAY]);
        assert!(
            String::from_utf8_lossy(&frames)
                .ends_with("HTTP/2 over TLS asks for ALPN (RFC 9113 3.2)")
        );
        server.shut_down();
    }

    let options = HttpOptions::default().with_http2_without_alpn();
    let timeouts = Timeouts::default().with_keep_alive(DEADLINE);
    let server = TestServer::start(
        over_tcp(authority.server())
            .http(options)
            .timeouts(timeouts),
    );
    let frames = read_until_close(&server, config(&authority, None), &request);
    // The connection is idle until the keep-alive timeout.
    assert!(frame_types(&frames).len() > 2, "{frames:?}");
    server.shut_down();
}

/// The client has sent `close_notify`, and waits for the server's.
#[test]
fn peer_close_notify_is_answered() {
    let authority = Authority::new();
    let server = TestServer::start(over_tcp(authority.server()));
    for request in ["", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        server.run(async {
            let stream = Client::new(config(&authority, None))
                .handshake(server.connect().await)
                .await;
            let mut stream = stream.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            while !request.is_empty() && !received.ends_with(b"Hello") {
                received.push(stream.read_u8().await.unwrap());
            }
            stream.shutdown().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        });
    }
    server.shut_down();
}

fn frame_types(mut frames: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, ..] = *frames {
        types.push(kind);
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        frames = &frames[9 + length..];
    }
    types
}
