//! Valid and invalid frames: the cases of Autobahn's groups 1 to 7 and 9, and further ones. Each
//! input is split at every byte.
use super::*;
use crate::message::{CloseFrame, Message};
use Expected::{Binary, Close, Fails, Ping, Pong, Text};

#[derive(Debug)]
enum Expected {
    Text(String),
    Binary(Vec<u8>),
    Ping(&'static [u8]),
    Pong,
    Close(Option<(u16, &'static str)>),
    /// The close has this code.
    Fails(u16),
}

impl Expected {
    fn is(&self, got: &Result<Incoming, Violation>) -> bool {
        match (self, got) {
            (Text(text), Ok(Incoming::Message(Message::Text(got)))) => got.as_str() == text,
            (Binary(bytes), Ok(Incoming::Message(Message::Binary(got)))) => got == bytes,
            (Ping(bytes), Ok(Incoming::Ping(got))) => got == bytes,
            (Pong, Ok(Incoming::Pong)) => true,
            (Close(frame), Ok(Incoming::Close(got))) => {
                *got == frame.map(|(code, reason)| CloseFrame::new(code, reason))
            }
            (Fails(code), Err(violation)) => violation.code == *code,
            _ => false,
        }
    }
}

type Case = (&'static str, Vec<Vec<u8>>, Vec<Expected>);

fn text(text: &str) -> Expected {
    Text(text.to_owned())
}

fn check(cases: Vec<Case>) {
    for (name, frames, expected) in cases {
        let bytes = frames.concat();
        // In a large input, some positions are enough.
        let step = bytes.len() / 400 + 1;
        for cut in (0..bytes.len()).step_by(step) {
            let got = assemble([&bytes[..cut], &bytes[cut..]]);
            let same =
                got.len() == expected.len() && expected.iter().zip(&got).all(|(a, b)| a.is(b));
            assert!(same, "{name}, cut at {cut}: {expected:?}");
        }
    }
}

#[test]
fn messages_of_every_length_are_assembled() {
    let lengths = [0, 1, 125, 126, 127, 128, 4096, 65_535, 65_536, 100_000];
    check(
        lengths
            .iter()
            .flat_map(|len| {
                let bytes = vec![b'*'; *len];
                let of_text = Text("*".repeat(*len));
                [
                    ("text", vec![frame(FIN | TEXT, &bytes)], vec![of_text]),
                    (
                        "binary",
                        vec![frame(FIN | BINARY, &bytes)],
                        vec![Binary(bytes)],
                    ),
                ]
            })
            .collect(),
    );
}

#[test]
fn control_frames_are_checked() {
    let close = |payload: &[u8]| vec![frame(FIN | CLOSE, payload)];
    let mut cases = vec![
        (
            "an empty ping",
            vec![frame(FIN | PING, b"")],
            vec![Ping(b"")],
        ),
        ("a pong", vec![frame(FIN | PONG, b"unasked")], vec![Pong]),
        (
            "a ping of 126 bytes",
            vec![frame(FIN | PING, &[0; 126])],
            vec![Fails(1002)],
        ),
        (
            "a ping in pieces",
            vec![frame(PING, b"a"), frame(FIN | MORE, b"b")],
            vec![Fails(1002)],
        ),
        ("a close without a code", close(b""), vec![Close(None)]),
        (
            "a close with half a code",
            close(b"\x03"),
            vec![Fails(1002)],
        ),
        (
            "a close with a reason",
            close(b"\x03\xe8bye"),
            vec![Close(Some((1000, "bye")))],
        ),
        (
            "a close with a reason that is not UTF-8",
            close(b"\x03\xe8\xce\xba\xe1\xbd\xb9\xcf\xed\xa0\x80"),
            vec![Fails(1007)],
        ),
        ("a close of 126 bytes", close(&[3; 126]), vec![Fails(1002)]),
        (
            "two pings",
            vec![frame(FIN | PING, b"1"), frame(FIN | PING, b"2")],
            vec![Ping(b"1"), Ping(b"2")],
        ),
    ];
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
        4999,
    ] {
        cases.push((
            "a code",
            close(&u16::to_be_bytes(code)),
            vec![Close(Some((code, "")))],
        ));
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        cases.push((
            "an invalid code",
            close(&u16::to_be_bytes(code)),
            vec![Fails(1002)],
        ));
    }
    check(cases);
}

#[test]
fn reserved_bits_and_opcodes_are_violations() {
    let mut cases = Vec::new();
    for first in [
        0x90 | TEXT,
        0xa0 | TEXT,
        0xb0 | BINARY,
        0xc0 | PING,
        0xc0 | CLOSE,
        0xf0 | PING,
        0x83,
        0x87,
        0x8b,
        0x8f,
    ] {
        cases.push((
            "reserved",
            vec![frame(FIN | TEXT, b"before"), frame(first, b"")],
            vec![text("before"), Fails(1002)],
        ));
    }
    check(cases);
}

#[test]
fn fragments_become_one_message() {
    check(vec![
        (
            "two",
            vec![frame(TEXT, b"frag"), frame(FIN | MORE, b"ment")],
            vec![text("fragment")],
        ),
        (
            "empty ones",
            vec![frame(TEXT, b""), frame(MORE, b""), frame(FIN | MORE, b"")],
            vec![text("")],
        ),
        (
            "with a ping between them",
            vec![
                frame(BINARY, b"1"),
                frame(FIN | PING, b"ping"),
                frame(MORE, b"2"),
                frame(FIN | PONG, b""),
                frame(FIN | MORE, b"3"),
            ],
            vec![Ping(b"ping"), Pong, Binary(b"123".to_vec())],
        ),
        (
            "a continuation of nothing",
            vec![frame(FIN | MORE, b"x")],
            vec![Fails(1002)],
        ),
        (
            "a continuation of nothing, not final",
            vec![frame(MORE, b"x")],
            vec![Fails(1002)],
        ),
        (
            "a continuation of a complete message",
            vec![frame(FIN | TEXT, b"x"), frame(FIN | MORE, b"x")],
            vec![text("x"), Fails(1002)],
        ),
        (
            "another message in between",
            vec![frame(TEXT, b"x"), frame(FIN | TEXT, b"x")],
            vec![Fails(1002)],
        ),
        (
            "a close in between",
            vec![frame(TEXT, b"x"), frame(FIN | CLOSE, b"")],
            vec![Close(None)],
        ),
        (
            "RSV1 on a continuation",
            vec![frame(TEXT, b"x"), frame(RSV1 | MORE, b"x")],
            vec![Fails(1002)],
        ),
        (
            "a character in pieces",
            vec![frame(TEXT, b"\xce"), frame(FIN | MORE, b"\xba")],
            vec![text("κ")],
        ),
        (
            "half a character at the end",
            vec![frame(TEXT, b"\xce"), frame(FIN | MORE, b"")],
            vec![Fails(1007)],
        ),
        (
            "wrong before the end",
            vec![
                frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4"),
                frame(MORE, b"\x90"),
            ],
            vec![Fails(1007)],
        ),
    ]);
}

#[test]
fn oversized_frames_and_messages_are_violations() {
    // The header is enough: no byte of the payload has to arrive.
    let head = |len: usize| frame(BINARY, &vec![0; len])[..14].to_vec();
    check(vec![
        ("a frame", vec![head(100_001)], vec![Fails(1009)]),
        (
            "a message",
            vec![
                frame(BINARY, &[1; 90_000]),
                frame(MORE, &[1; 60_001])[..8].to_vec(),
            ],
            vec![Fails(1009)],
        ),
        (
            "a length of 2^63",
            vec![b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec()],
            vec![Fails(1002)],
        ),
        (
            "a length of 2^63 - 1",
            vec![b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0".to_vec()],
            vec![Fails(1009)],
        ),
        (
            "no mask",
            vec![b"\x81\x05hello".to_vec()],
            vec![Fails(1002)],
        ),
    ]);
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages_are_inflated() {
    // RFC 7692 7.2.3.1 and 7.2.3.2
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    check(vec![
        (
            "in a frame",
            vec![frame(FIN | RSV1 | TEXT, &hello)],
            vec![text("Hello")],
        ),
        (
            "in two",
            vec![
                frame(RSV1 | TEXT, &hello[..3]),
                frame(FIN | PING, b""),
                frame(FIN | MORE, &hello[3..]),
            ],
            vec![Ping(b""), text("Hello")],
        ),
        (
            "beside a plain one",
            vec![
                frame(FIN | RSV1 | BINARY, &hello),
                frame(FIN | BINARY, b"x"),
            ],
            vec![Binary(b"Hello".to_vec()), Binary(b"x".to_vec())],
        ),
        (
            "garbage",
            vec![frame(FIN | RSV1 | TEXT, &[0xff; 9])],
            vec![Fails(1007)],
        ),
    ]);
}
