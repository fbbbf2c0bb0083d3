//! Valid headers: their contents and their lengths.
use super::{
    bytes::{IPV4, tlv, v2, with_checksum, with_tlvs},
    *,
};

fn client(length: usize, client: &str, destination: &str) -> Outcome {
    Outcome::Client(length, client.into(), destination.into())
}

#[test]
fn version_1_names_client_and_destination() {
    for (line, wanted) in [
        (
            "PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\n",
            ("192.0.2.1:4711", "10.0.0.9:443"),
        ),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            ("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 4711 443\r\n",
            ("[2001:db8::1]:4711", "[::1]:443"),
        ),
        // The longest line of this kind.
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            (
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
    ] {
        assert_eq!(
            outcome(line.as_bytes()),
            client(line.len(), wanted.0, wanted.1)
        );
    }
}

#[test]
fn unknown_and_local_headers_leave_the_proxy_as_the_peer() {
    for line in [
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN 192.0.2.1 10.0.0.9 1 2\r\n",
        "PROXY UNKNOWN a b c d e f g\r\n",
    ] {
        assert_eq!(outcome(line.as_bytes()), Outcome::Proxy(line.len()));
    }
    // The longest line of all.
    let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(outcome(line.as_bytes()), Outcome::Proxy(107));
    for header in [
        v2(0x20, 0x00, b""),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x00, &tlv(4, b"padding")),
    ] {
        assert_eq!(outcome(&header), Outcome::Proxy(header.len()));
    }
}

#[test]
fn block_of_a_local_header_is_skipped() {
    for family in [0x00, 0x11, 0x21, 0x31, 0x41, 0xFF] {
        for block in [
            &b""[..],
            IPV4,
            b"short",
            &[0xFF; 300],
            // A value whose length exceeds the header.
            &[3, 0xFF, 0xFF, 0],
        ] {
            let header = v2(0x20, family, block);
            assert_eq!(
                outcome(&header),
                Outcome::Proxy(header.len()),
                "{family:#x}"
            );
        }
    }
}

#[test]
fn version_2_names_client_and_destination() {
    for family in [0x11, 0x12] {
        let header = v2(0x21, family, IPV4);
        assert_eq!(
            outcome(&header),
            client(28, "192.0.2.1:4711", "10.0.0.9:443")
        );
    }
    let mut block = [0; 36];
    block[15] = 1;
    block[16..18].copy_from_slice(&[0x20, 0x01]);
    block[33] = 7;
    block[35] = 9;
    let header = v2(0x21, 0x21, &block);
    assert_eq!(outcome(&header), client(52, "[::1]:7", "[2001::]:9"));

    let mut block = [0; 216];
    block[..9].copy_from_slice(b"/run/sock");
    let header = v2(0x21, 0x31, &block);
    assert_eq!(outcome(&header), client(232, "unix:/run/sock", "unix:"));
}

#[test]
fn header_ends_at_the_same_byte_however_it_is_split() {
    let secret = [
        tlv(2, b"example.com"),
        tlv(5, b"id"),
        tlv(0xEA, b"\x01vpce"),
    ];
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 10.0.0.9 4711 443\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n".to_vec(),
        v2(0x20, 0x11, IPV4),
        v2(0x21, 0x11, IPV4),
        with_checksum(&secret),
    ] {
        let whole = outcome(&header);
        assert!(
            matches!(whole, Outcome::Proxy(n) | Outcome::Client(n, ..) if n == header.len()),
            "{whole:?}"
        );
        for cut in 0..header.len() {
            assert_eq!(outcome(&header[..cut]), Outcome::Incomplete, "at {cut}");
        }
        // A second header is data.
        for surplus in [&b"\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &header] {
            assert_eq!(outcome(&[&header, surplus].concat()), whole);
        }
    }
}

fn proxied(header: &[u8]) -> Proxied {
    match parse(header).unwrap() {
        Header::Client(client) => client.proxied,
        Header::Proxy => panic!("a client"),
    }
}

#[test]
fn values_of_version_2_are_parsed() {
    let ssl = [
        &[0b101, 0, 0, 0, 0][..],
        &tlv(0x21, b"TLSv1.3"),
        &tlv(0x22, b"client"),
        &tlv(0x23, b"TLS_AES_256_GCM_SHA384"),
        &tlv(0x24, b"SHA256"),
        &tlv(0x25, b"RSA2048"),
    ]
    .concat();
    let proxied = proxied(&with_checksum(&[
        tlv(1, b"h2"),
        tlv(2, b"example.com"),
        tlv(4, b"padding"),
        tlv(5, b"\0id"),
        tlv(5, b"another id"),
        tlv(0x30, b"blue"),
        tlv(0x20, &ssl),
        tlv(0xEA, b"\x01vpce-1"),
        tlv(0xEA, b"\x02other"),
        tlv(0xE0, b"\x01\x02"),
        tlv(0xD0, b"nobody's"),
    ]));
    assert_eq!(proxied.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(proxied.authority.as_deref(), Some("example.com"));
    assert_eq!(proxied.unique_id.as_deref(), Some(&b"\0id"[..]));
    assert_eq!(proxied.namespace.as_deref(), Some("blue"));
    let extensions: Vec<_> = proxied
        .extensions
        .iter()
        .map(|(kind, value)| (*kind, &**value))
        .collect();
    assert_eq!(
        extensions,
        [
            (0xEA, &b"\x01vpce-1"[..]),
            (0xEA, b"\x02other"),
            (0xE0, b"\x01\x02")
        ]
    );
    let tls = proxied.tls.unwrap();
    assert_eq!(tls.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(tls.common_name.as_deref(), Some("client"));
    assert_eq!(tls.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"));
    assert_eq!(tls.signature_algorithm.as_deref(), Some("SHA256"));
    assert_eq!(tls.key_algorithm.as_deref(), Some("RSA2048"));
    assert!(tls.has_certificate && tls.verified);
}

#[test]
fn certificate_is_verified_only_if_there_is_one() {
    // Flags (TLS, certificate now, certificate before), result of the verification.
    for (flags, verify, has_certificate, verified) in [
        (0b001, 0, false, false),
        (0b011, 0, true, true),
        (0b101, 0, true, true),
        (0b011, 1, true, false),
        (0b001, 1, false, false),
    ] {
        let proxied = proxied(&with_tlvs(&[tlv(0x20, &[flags, 0, 0, 0, verify])]));
        let tls = proxied.tls.unwrap();
        assert_eq!(
            (tls.has_certificate, tls.verified),
            (has_certificate, verified),
            "{flags:#b}"
        );
    }
    // The client did not use TLS.
    let plain = proxied(&with_tlvs(&[tlv(0x20, &[0, 0, 0, 0, 1])]));
    assert!(plain.tls.is_none());
}
