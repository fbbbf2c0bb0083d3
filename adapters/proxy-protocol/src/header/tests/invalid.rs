//! Invalid headers, and their errors.
use super::{
    bytes::{IPV4, SIGNATURE, tlv, v2, with_checksum, with_tlvs},
    *,
};

#[track_caller]
fn is_invalid(input: &[u8], says: &str) {
    match outcome(input) {
        Outcome::Invalid(error) => assert!(error.contains(says), "{error}"),
        other => panic!("\"{}\" is {other:?}", input.escape_ascii()),
    }
}

#[test]
fn input_without_a_header_is_shown_in_the_error() {
    is_invalid(b"\x16\x03\x01\x02\0\x01", "that is TLS");
    is_invalid(b"\x16", "that is TLS");
    is_invalid(
        b"GET / HTTP/1.1\r\nhost: example.com\r\n\r\n",
        "\"GET / HTTP/1.1\\r\\nhost: ex\"; that may be HTTP",
    );
    is_invalid(b"POST / HTTP/1.1\r\n", "that may be HTTP");
    is_invalid(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "that may be HTTP");
    is_invalid(b"\0\x01", "have the proxy send the header first");
    is_invalid(b"\r\n\r\n\0\r\nQUIZ", "no PROXY header");
    is_invalid(b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header");
}

#[test]
fn line_without_end_is_invalid_after_107_bytes() {
    for line in [
        "PROXY UNKNOWN ".to_owned(),
        "PROXY TCP4 1.1.1.1 ".to_owned(),
    ] {
        let endless = line + &"1".repeat(200);
        for length in 0..107 {
            assert_eq!(outcome(&endless.as_bytes()[..length]), Outcome::Incomplete);
        }
        is_invalid(&endless.as_bytes()[..107], "does not end within 107 bytes");
        is_invalid(endless.as_bytes(), "does not end within 107 bytes");
    }
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(108 - 16));
    is_invalid(too_long.as_bytes(), "does not end within 107 bytes");
    is_invalid(b"PROXY UNKNOWN\n", "ends without CR");
}

#[test]
fn invalid_lines_are_rejected() {
    for line in [
        "PROXY ",
        "PROXY TCP4",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2",
        "PROXY UNKNOWNS",
        "PROXY unknown",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 +2",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 -2",
        "PROXY TCP4 1.1.1.1 2.2.2.2  1 2",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2",
        "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 ",
        "PROXY TCP4 1.1.1.256 2.2.2.2 1 2",
        "PROXY TCP4 ::1 2.2.2.2 1 2",
        "PROXY TCP4 01.1.1.1 2.2.2.2 1 2",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2",
        "PROXY TCP6 ::1%lo ::1 1 2",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r2",
        "PROXY TCP4 \u{e9}.1.1.1 2.2.2.2 1 2",
    ] {
        is_invalid(format!("{line}\r\n").as_bytes(), "line is invalid");
    }
}

#[test]
fn oversized_header_is_invalid_once_its_length_has_arrived() {
    let length_alone = |length: u16| {
        let length = length.to_be_bytes();
        [SIGNATURE, &[0x21, 0x11], &length].concat()
    };
    assert_eq!(outcome(&length_alone(4080)), Outcome::Incomplete);
    is_invalid(&length_alone(4081), "4097 bytes, and at most 4096");
    is_invalid(&length_alone(u16::MAX), "65551 bytes");
    let mut largest = IPV4.to_vec();
    largest.extend(tlv(4, &[0; 4080 - 12 - 3]));
    assert!(matches!(
        outcome(&v2(0x21, 0x11, &largest)),
        Outcome::Client(MAX_HEADER, ..)
    ));
}

#[test]
fn unknown_version_command_and_family_are_invalid() {
    for command in [0x00, 0x11, 0x22, 0x2F, 0x31, 0xFF] {
        is_invalid(&v2(command, 0x11, IPV4), &format!("{command:#04x}"));
    }
    for family in [0x01, 0x02, 0x10, 0x13, 0x20, 0x30, 0x41, 0xFF] {
        let block = [0; 216];
        is_invalid(&v2(0x21, family, &block), &format!("family {family:#04x}"));
    }
}

#[test]
fn short_address_block_is_invalid() {
    for (family, length) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216)] {
        for short in 0..length {
            let header = v2(0x21, family, &vec![0; short]);
            is_invalid(&header, "address block is invalid");
            // Bytes after the header are not parsed as addresses.
            is_invalid(
                &[&header, &[1; 300][..]].concat(),
                "address block is invalid",
            );
        }
    }
}

#[test]
fn values_that_overlap_or_exceed_the_header_are_invalid() {
    let authority = tlv(2, b"example.com");
    for cut in 1..authority.len() {
        is_invalid(
            &with_tlvs(&[authority[..cut].to_vec()]),
            "type 0x02 at byte 28",
        );
    }
    let mut beyond = authority;
    beyond[2] += 1;
    is_invalid(&with_tlvs(&[beyond.clone()]), "type 0x02 at byte 28");
    // The value also covers the first byte of the next value, so the remaining bytes are no value.
    is_invalid(&with_tlvs(&[beyond, tlv(4, b"")]), "invalid");
    // Inside the TLS values, one value reaches beyond its parent, into the next value.
    let mut inner = tlv(0x21, b"TLSv1.3");
    inner[2] += 3;
    let ssl = [&[1, 0, 0, 0, 0][..], &inner].concat();
    is_invalid(&with_tlvs(&[tlv(0x20, &ssl), tlv(4, b"")]), "TLS values");
    for short in 0..5 {
        is_invalid(&with_tlvs(&[tlv(0x20, &vec![0; short])]), "type 0x20");
    }
}

#[test]
fn malformed_values_are_invalid() {
    is_invalid(&with_tlvs(&[tlv(2, b"\xFF")]), "type 0x02");
    is_invalid(&with_tlvs(&[tlv(0x30, b"\xFF")]), "type 0x30");
    is_invalid(&with_tlvs(&[tlv(3, b"123")]), "type 0x03");
    is_invalid(&with_tlvs(&[tlv(5, &[0; 129])]), "129 bytes");
    let ssl = [&[1, 0, 0, 0, 0][..], &tlv(0x22, b"\xFF")].concat();
    is_invalid(&with_tlvs(&[tlv(0x20, &ssl)]), "not UTF-8");
}

#[test]
fn wrong_checksum_is_invalid() {
    let header = with_checksum(&[tlv(2, b"example.com")]);
    assert!(matches!(outcome(&header), Outcome::Client(..)));
    // The addresses, and the bytes after the checksum.
    for at in (16..28)
        .chain(38..header.len() - 11)
        .chain(header.len() - 11..header.len())
    {
        let mut changed = header.clone();
        changed[at] ^= 1;
        assert!(matches!(outcome(&changed), Outcome::Invalid(_)), "{at}");
    }
    let mut changed = header;
    changed[16] ^= 1;
    is_invalid(&changed, "checksum is 0x");
    // The checksum is verified even if the header contains no address.
    is_invalid(&v2(0x21, 0, &tlv(3, b"1234")), "checksum is 0x");
}
