//! Every end that isn't an abort says so (`close_notify`, RFC 8446 6.1): tokio-rustls takes one
//! that doesn't for an error.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::scene::{Served, over_tcp};
use anyport_core::{HttpOptions, Timeouts};
use anyport_tls::rustls;
use rustls::ClientConfig;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEADLINE: Duration = Duration::from_millis(300);
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An HTTP/2 frame's types, and one without flags or content (RFC 9113 4.1, 6).
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const GOAWAY: u8 = 7;

fn config(authority: &Authority, alpn: Option<&str>) -> ClientConfig {
    let mut config = authority.client_config(None);
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
    config
}

/// All that a client gets that says this, and stays; the end is in order.
fn told(served: &Served, config: ClientConfig, says: &[u8]) -> Vec<u8> {
    served.run(async {
        let mut stream = Client::new(config)
            .handshake(served.connect().await)
            .await
            .unwrap();
        stream.write_all(says).await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        told
    })
}

#[test]
fn a_head_that_takes_too_long() {
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_head(DEADLINE);
    let served = Served::start(over_tcp(authority.server()).timeouts(timeouts));
    for (alpn, says) in [
        (None, ""),
        (None, "GET / HT"),
        (Some("http/1.1"), "GET / HTTP/1.1\r\nHost: local"),
        (Some("h2"), "PRI * HT"),
    ] {
        assert_eq!(
            told(&served, config(&authority, alpn), says.as_bytes()),
            b"",
            "{says}"
        );
    }
    let again = told(
        &served,
        config(&authority, None),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\n",
    );
    assert!(
        again.ends_with(b"Hello"),
        "{}",
        String::from_utf8_lossy(&again)
    );
    served.ends();
}

#[test]
fn an_idle_connection_whose_time_is_over() {
    let authority = Authority::new();
    let timeouts = Timeouts::default().with_keep_alive(DEADLINE);
    let served = Served::start(over_tcp(authority.server()).timeouts(timeouts));
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert!(told(&served, config(&authority, None), request).ends_with(b"Hello"));
    let says = [PREFACE.as_bytes(), SETTINGS].concat();
    let frames = told(&served, config(&authority, Some("h2")), &says);
    assert!(frame_types(&frames).contains(&GOAWAY), "{frames:?}");
    served.ends();
}

#[test]
fn who_speaks_what_was_not_agreed_on() {
    let authority = Authority::new();
    for served in crate::servers(&authority) {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        assert_eq!(told(&served, config(&authority, Some("h2")), request), b"");
        served.ends();
    }
}

/// RFC 9113 3.2
#[test]
fn http2_that_was_not_agreed_on_is_refused() {
    let authority = Authority::new();
    let says = [PREFACE.as_bytes(), SETTINGS].concat();
    for served in crate::servers(&authority) {
        let frames = told(&served, config(&authority, None), &says);
        assert_eq!(frame_types(&frames), [SETTINGS[3], GOAWAY]);
        assert!(
            String::from_utf8_lossy(&frames)
                .ends_with("HTTP/2 over TLS asks for ALPN (RFC 9113 3.2)")
        );
        served.ends();
    }

    let options = HttpOptions::default().with_http2_without_alpn();
    let timeouts = Timeouts::default().with_keep_alive(DEADLINE);
    let served = Served::start(
        over_tcp(authority.server())
            .http(options)
            .timeouts(timeouts),
    );
    let frames = told(&served, config(&authority, None), &says);
    // It's idle until its time is over.
    assert!(frame_types(&frames).len() > 2, "{frames:?}");
    served.ends();
}

/// It has said goodbye itself, and waits for the answer.
#[test]
fn a_peer_that_says_goodbye() {
    let authority = Authority::new();
    let served = Served::start(over_tcp(authority.server()));
    for says in ["", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        served.run(async {
            let stream = Client::new(config(&authority, None))
                .handshake(served.connect().await)
                .await;
            let mut stream = stream.unwrap();
            stream.write_all(says.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            while !says.is_empty() && !heard.ends_with(b"Hello") {
                heard.push(stream.read_u8().await.unwrap());
            }
            stream.shutdown().await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
        });
    }
    served.ends();
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
