//! Peers that don't do what TLS asks for: each is let go within the deadline, and the observer
//! learns why, once.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::scene::{PATIENCE, Served, over_tcp};
use crate::wire::{Talk, hello, hello_of};
use anyport_core::{Server, Timeouts};
use anyport_tls::{ClientAuth, Roots, TlsConfig, rustls};
use rustls::{ClientConfig, version};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_millis(300);

fn server(authority: &Authority) -> Served {
    Served::start(over_tcp(authority.server()))
}

fn impatient(server: Server, deadline: Duration) -> Served {
    Served::start(server.timeouts(Timeouts::default().with_handshake(deadline)))
}

fn connect(served: &Served) -> TcpStream {
    let stream = TcpStream::connect(served.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// All that a peer is sent, whether its end was orderly or not.
fn heard(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => heard,
    }
}

/// A fatal alert (RFC 8446 6.2) in a record of its own.
fn alert(description: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, description]
}

/// Says this and no more, but stays; what it hears, and what the observer hears.
fn said(bytes: &[u8]) -> (Vec<u8>, io::ErrorKind, String) {
    let served = server(&Authority::new());
    let mut stream = connect(&served);
    stream.write_all(bytes).unwrap();
    let heard = heard(&mut stream);
    let (kind, error) = served.log.one_failure();
    served.ends();
    (heard, kind, error)
}

#[test]
fn what_is_not_tls() {
    let nothing = Vec::new();
    let decode_error = alert(50);
    for (bytes, answer, why) in [
        (
            &b"\x00\x01\x02\x03\x04\x05\x06\x07"[..],
            &decode_error,
            "received corrupt message of type InvalidContentType",
        ),
        (
            b"hello, is there anybody?",
            &decode_error,
            "received corrupt message of type InvalidContentType",
        ),
        // SSL 2.0 (RFC 6101 E.1), whose hello older clients began with.
        (
            b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10\x01\x00\x80\x03\x00\x80\x07\x00\xc0\x06\x00\x40",
            &decode_error,
            "received corrupt message of type InvalidContentType",
        ),
        // A record that's longer than one may be (RFC 8446 5.2).
        (
            b"\x16\x03\x01\xff\xff\x01",
            &decode_error,
            "received corrupt message of type MessageTooLarge",
        ),
        (
            b"\x16\x03\x01\x00\x00",
            &decode_error,
            "received corrupt message of type InvalidEmptyPayload",
        ),
        (
            b"\x16\x09\x09\x00\x05\x01",
            &decode_error,
            "received corrupt message of type UnknownProtocolVersion",
        ),
        // Application data before anything else.
        (
            b"\x17\x03\x03\x00\x03abc",
            &nothing,
            "received unexpected message: got ApplicationData when expecting Handshake",
        ),
        // A ServerHello.
        (
            b"\x16\x03\x03\x00\x04\x02\x00\x00\x00",
            &decode_error,
            "received corrupt message of type MissingData(\"ProtocolVersion\")",
        ),
        // An alert, as if a handshake had failed already.
        (
            b"\x15\x03\x03\x00\x02\x02\x28",
            &nothing,
            "received unexpected message: got Alert when expecting Handshake",
        ),
    ] {
        let (heard, kind, error) = said(bytes);
        assert_eq!((&*error, kind), (why, io::ErrorKind::InvalidData), "{bytes:x?}");
        assert_eq!(&heard, answer, "{bytes:x?}");
    }
}

#[test]
fn http_without_tls_is_answered_in_its_own_words() {
    for request in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /upload HTTP/1.0\r\n",
        "G",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let (heard, kind, error) = said(request.as_bytes());
        assert_eq!(
            (&*error, kind),
            ("the peer spoke without TLS", io::ErrorKind::InvalidData)
        );
        let text = "This port speaks HTTPS: begin the address with https:// instead of http://.\n";
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
        assert_eq!(String::from_utf8_lossy(&heard), answer);
    }
}

#[test]
fn http_without_tls_is_redirected_if_asked_to() {
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
            let served = Served::start(over_tcp(Authority::new().server().with_https_redirect()));
            let mut stream = connect(&served);
            for part in request.as_bytes().chunks(at_once) {
                // An answer that's there before the end of the request is one, too.
                let _ = stream.write_all(part);
            }
            let heard = String::from_utf8(heard(&mut stream)).unwrap();
            assert!(
                heard.starts_with(&format!("HTTP/1.1 {status} ")),
                "{request}: {heard}"
            );
            let got = heard
                .lines()
                .find_map(|line| line.strip_prefix("Location: "));
            assert_eq!(got, location, "{request}");
            assert_eq!(served.log.one_failure().1, "the peer spoke without TLS");
            served.ends();
        }
    }
}

#[test]
fn a_hello_that_ends_anywhere_ends_the_connection() {
    let authority = Authority::new();
    let hello = hello(&authority);
    let served = server(&authority);
    for length in 0..hello.len() {
        let mut stream = connect(&served);
        stream.write_all(&hello[..length]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(heard(&mut stream), b"", "after {length} bytes");
    }
    served.log.closed(hello.len());
    let told = served.log.told();
    assert_eq!(
        (told.failed.len(), told.established.len()),
        (hello.len(), 0)
    );
    for (_, kind, error) in &told.failed {
        assert_eq!(
            (*kind, &**error),
            (
                io::ErrorKind::UnexpectedEof,
                "the peer left before it had said hello"
            )
        );
    }
    drop(told);
    served.ends();
}

/// Silence at each place where a peer may fall silent.
#[test]
fn a_peer_that_falls_silent_is_let_go_at_the_deadline() {
    let authority = Authority::new();
    let whole = hello(&authority);
    for begin in [
        &whole[..0],
        &whole[..1],
        &whole[..whole.len() / 2],
        &whole[..],
    ] {
        let served = impatient(over_tcp(authority.server()), DEADLINE);
        let began = Instant::now();
        let mut stream = connect(&served);
        // An error says that the deadline has passed already.
        let _ = stream.write_all(begin);
        heard(&mut stream);
        assert!(began.elapsed() >= DEADLINE);
        assert_eq!(served.log.one_failure().0, io::ErrorKind::TimedOut);
        served.ends();
    }
}

/// Its last flight is cut in the middle: the Finished, and in TLS 1.2 also what's before it.
#[test]
fn a_peer_that_leaves_in_its_last_flight() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        let served = server(&authority);
        let mut stream = connect(&served);
        let last = Talk::new(authority.only(version))
            .last_flight(&mut stream)
            .unwrap();
        stream.write_all(&last[..last.len() - 10]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        heard(&mut stream);
        let (kind, error) = served.log.one_failure();
        assert_eq!(
            (kind, &*error),
            (io::ErrorKind::UnexpectedEof, "tls handshake eof")
        );
        served.ends();
    }
}

/// The same, but it stays.
#[test]
fn a_peer_that_stops_in_its_last_flight() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        // On a busy machine it may be late for that already: then there's more time.
        let gets_that_far = |times: u32| {
            let served = impatient(over_tcp(authority.server()), times * DEADLINE);
            let mut stream = connect(&served);
            let last = Talk::new(authority.only(version)).last_flight(&mut stream);
            if let Ok(last) = &last {
                let _ = stream.write_all(&last[..last.len() - 10]);
            }
            heard(&mut stream);
            assert_eq!(served.log.one_failure().0, io::ErrorKind::TimedOut);
            served.ends();
            last.is_ok()
        };
        assert!([1, 10, 100].into_iter().any(gets_that_far));
    }
}

#[test]
fn a_finished_that_was_tampered_with() {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        let served = server(&authority);
        let mut stream = connect(&served);
        let mut talk = Talk::new(authority.only(version));
        let mut last = talk.last_flight(&mut stream).unwrap();
        *last.last_mut().unwrap() ^= 1;
        stream.write_all(&last).unwrap();
        heard(&mut stream);
        assert_eq!(
            served.log.one_failure(),
            (
                io::ErrorKind::InvalidData,
                "cannot decrypt peer's message".to_owned()
            )
        );
        served.ends();
    }
}

/// What a client of rustls says of it, and the observer.
fn handshake(tls: TlsConfig, client: ClientConfig, name: &'static str) -> (String, String) {
    let served = Served::start(over_tcp(tls));
    let error = served.run(async {
        let stream = served.connect().await;
        let connected = Client::new(client).handshake_with(name, stream).await;
        let mut stream = match connected {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        // In TLS 1.3, a client is at its end before the server has seen its certificate.
        tokio::io::AsyncReadExt::read_u8(&mut stream)
            .await
            .unwrap_err()
    });
    let (kind, why) = served.log.one_failure();
    assert_eq!(kind, io::ErrorKind::InvalidData, "{why}");
    served.ends();
    (error.to_string(), why)
}

#[test]
fn handshakes_that_lead_nowhere() {
    let (authority, foreign) = (Authority::new(), Authority::new());
    let two = || {
        let more = authority.issue("other", &["other.example"]);
        authority.server().with_certificate(more.certificate())
    };
    let with_alpn = |protocol: &str| {
        let mut config = authority.client_config(None);
        config.alpn_protocols = vec![protocol.into()];
        config
    };
    let mutual = || {
        let roots = Roots::pem(authority.root_pem());
        authority
            .server()
            .with_client_auth(ClientAuth::Required(roots))
    };
    let stranger = foreign.issue("stranger", &["stranger"]);
    let expired = authority.issue_with(&["old"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 2, 29)
    });
    let plain = || authority.client_config(None);
    for (tls, client, name, told, why) in [
        (
            two(),
            plain(),
            "unknown.example",
            "received fatal alert: AccessDenied",
            "no server certificate chain resolved",
        ),
        (
            authority.server(),
            with_alpn("spdy/1"),
            "localhost",
            "received fatal alert: NoApplicationProtocol",
            "peer doesn't support any known protocol",
        ),
        (
            mutual(),
            plain(),
            "localhost",
            "received fatal alert: CertificateRequired",
            "peer sent no certificates",
        ),
        (
            mutual(),
            authority.client_config(Some(&stranger)),
            "localhost",
            "received fatal alert: UnknownCA",
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            mutual(),
            authority.client_config(Some(&expired)),
            "localhost",
            "received fatal alert: CertificateExpired",
            "invalid peer certificate: certificate expired",
        ),
        // The client's fault or not: it doesn't know who signed.
        (
            foreign.server(),
            plain(),
            "localhost",
            "invalid peer certificate: UnknownIssuer",
            "received fatal alert: UnknownCA",
        ),
    ] {
        let (client, server) = handshake(tls, client, name);
        assert!(client.contains(told), "{client}, not {told}");
        assert!(server.contains(why), "{server}, not {why}");
    }
}

#[test]
fn long_hellos() {
    let authority = Authority::new();
    // As long as a record, and longer.
    for padding in [16_000, 40_000, 60_000] {
        let served = server(&authority);
        let mut config = authority.client_config(None);
        config.alpn_protocols = (0..padding / 201)
            .map(|n| format!("{n:0>200}").into())
            .collect();
        config.alpn_protocols.push(b"http/1.1".into());
        assert!(hello_of(config.clone()).len() > padding);
        let agreed = served.run(async {
            let stream = Client::new(config).handshake(served.connect().await).await;
            let stream = stream.unwrap_or_else(|error| {
                panic!("{padding}: {error}; {:?}", served.log.one_failure())
            });
            stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
        });
        assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
        served.ends();
    }
    // One that says it's of 16 MiB: it's refused before it has been kept.
    let (heard, _, error) = said(b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03");
    assert_eq!(
        error,
        "received corrupt message of type HandshakePayloadTooLarge"
    );
    assert_eq!(heard, b"");
}
