//! The client's end: it masks what it sends, and reads frames without a mask.
use super::{
    super::{Outgoing, Side},
    fuzzed::assemble_at,
    *,
};
use crate::message::Message;
use bytes::Bytes;
use std::collections::HashSet;
use tungstenite::protocol::frame::coding::{Data, OpCode};

/// The frames of a client with these payloads.
fn sent(payloads: Vec<Bytes>) -> Vec<u8> {
    let mut outgoing = Outgoing::default();
    for payload in payloads {
        let opcode = OpCode::Data(Data::Binary);
        outgoing.push(Side::Client, opcode, false, payload, Box::default);
    }
    let mut bytes = Vec::new();
    while !outgoing.is_empty() {
        let first = outgoing.first().to_vec();
        outgoing.advance(first.len());
        bytes.extend(first);
    }
    bytes
}

#[test]
fn server_reads_what_a_client_sends() {
    for len in (0..40).chain([125, 126, 4096, 4097, 65_535, 65_536, 90_000]) {
        let payload: Vec<u8> = (0..len).map(|n: usize| (n % 251) as u8).collect();
        // The second one has no other owner, so it is masked in place.
        let shared = Bytes::from(payload.clone());
        let bytes = sent(vec![shared.clone(), Bytes::from(payload.clone())]);
        assert_eq!(shared, payload, "a shared payload does not change");
        let got = assemble([&bytes[..]]);
        assert_eq!(got.len(), 2);
        for message in got {
            let expected = Incoming::Message(Message::Binary(shared.clone()));
            assert!(message.unwrap() == expected, "{len} bytes");
        }
        if len >= 40 {
            let is_plain = bytes.windows(40).any(|part| part == &payload[..40]);
            assert!(!is_plain, "{len} bytes were not masked");
        }
    }
}

/// A key of 32 bits occurs twice among 1,000 of them in one of 8,600 runs; three repetitions do not
/// happen.
#[test]
fn each_frame_has_another_key() {
    let frames = sent(vec![Bytes::new(); 1000]);
    let keys: HashSet<&[u8]> = frames.chunks(6).map(|frame| &frame[2..]).collect();
    assert!(keys.len() > 997, "{} keys", keys.len());
}

/// A server's frame; `first` is its first byte.
fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(first, payload);
    let mask = bytes.len() - payload.len() - 4;
    bytes.drain(mask..mask + 4);
    bytes[1] &= 0x7f;
    let at = bytes.len() - payload.len();
    bytes[at..].copy_from_slice(payload);
    bytes
}

#[test]
fn client_reads_frames_without_a_mask_however_split() {
    let text = "Hello-µ@ßöäüàá-UTF-8!!";
    let frames = [
        unmasked(TEXT, &text.as_bytes()[..7]),
        unmasked(FIN | PING, b"ping"),
        unmasked(FIN | MORE, &text.as_bytes()[7..]),
        unmasked(FIN | BINARY, &[7; 300]),
        unmasked(FIN | CLOSE, &[0x03, 0xe8]),
    ]
    .concat();
    for cut in 0..frames.len() {
        let got = assemble_at(Side::Client, [&frames[..cut], &frames[cut..]]);
        let got: Vec<Incoming> = got.into_iter().map(Result::unwrap).collect();
        assert!(
            matches!(
                &got[..],
                [Incoming::Ping(_), Incoming::Message(Message::Text(got)), Incoming::Message(_), Incoming::Close(Some(_))]
                    if got.as_str() == text
            ),
            "cut at {cut}: {got:?}"
        );
    }
}

#[test]
fn client_refuses_frames_with_a_mask() {
    let bytes = frame(FIN | TEXT, b"masked");
    for cut in 0..bytes.len() {
        let got = assemble_at(Side::Client, [&bytes[..cut], &bytes[cut..]]);
        assert!(
            matches!(&got[..], [Err(Violation { code: 1002, .. })]),
            "{got:?}"
        );
    }
}
