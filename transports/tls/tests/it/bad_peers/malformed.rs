//! Bytes that are not TLS get the alert of RFC 8446 6.2, and long ClientHellos are accepted.
use super::{alert, response_to, server};
use crate::{
    client::{Authority, Client},
    wire::client_hello_of,
};
use std::io;

#[test]
fn malformed_records_get_the_matching_alert() {
    let nothing = Vec::new();
    let decode_error = alert(50);
    for (bytes, response, why) in [
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
        // A record that exceeds the maximum length (RFC 8446 5.2).
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
        // Application data first.
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
        let (received, kind, error) = response_to(bytes);
        assert_eq!((&*error, kind), (why, io::ErrorKind::InvalidData), "{bytes:x?}");
        assert_eq!(&received, response, "{bytes:x?}");
    }
}

#[test]
fn long_client_hellos_are_accepted() {
    let authority = Authority::new();
    // The ClientHello is as long as a record, or longer.
    for padding in [16_000, 40_000, 60_000] {
        let server = server(&authority);
        let mut config = authority.client_config(None);
        config.alpn_protocols = (0..padding / 201)
            .map(|n| format!("{n:0>200}").into())
            .collect();
        config.alpn_protocols.push(b"http/1.1".into());
        assert!(client_hello_of(config.clone()).len() > padding);
        let agreed = server.run(async {
            let stream = Client::new(config).handshake(server.connect().await).await;
            let stream = stream.unwrap_or_else(|error| {
                panic!("{padding}: {error}; {:?}", server.log.single_failure())
            });
            stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
        });
        assert_eq!(agreed.as_deref(), Some(&b"http/1.1"[..]));
        server.shut_down();
    }
    // A length of 16 MiB is rejected before anything is buffered.
    let (received, _, error) = response_to(b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\x03");
    assert_eq!(
        error,
        "received corrupt message of type HandshakePayloadTooLarge"
    );
    assert_eq!(received, b"");
}
