//! The messages do not depend on how the bytes are split.
use super::{super::Violation, *};
use proptest::{collection::vec, prelude::*};

/// A frame of almost any kind: often a small one, and sometimes an invalid one.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => Just(FIN | TEXT),
        4 => Just(FIN | BINARY),
        2 => Just(TEXT),
        2 => Just(BINARY),
        4 => Just(MORE),
        4 => Just(FIN | MORE),
        2 => Just(FIN | PING),
        1 => Just(FIN | PONG),
        1 => Just(FIN | CLOSE),
        1 => Just(FIN | RSV1 | TEXT),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        8 => "\\PC{0,40}".prop_map(String::into_bytes),
        4 => vec(any::<u8>(), 0..140),
        1 => (0..90_000_usize).prop_map(|len| vec![b'x'; len]),
    ];
    (first, payload).prop_map(|(first, payload)| frame(first, &payload))
}

fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at((*cut).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

proptest! {
    #[test]
    fn frames_give_the_same_messages_however_split(frames in vec(any_frame(), 1..12), cuts in vec(prop_oneof![1..5_usize, 1..20_000_usize], 0..40)) {
        let bytes = frames.concat();
        let whole = assemble([&bytes[..]]);
        prop_assert_eq!(&assemble(pieces(&bytes, &cuts)), &whole);
        prop_assert_eq!(&assemble(bytes.chunks(1)), &whole);
    }

    #[test]
    fn arbitrary_bytes_give_the_same_messages_however_split(bytes in vec(any::<u8>(), 0..200), cuts in vec(1..20_usize, 0..20)) {
        prop_assert_eq!(assemble(pieces(&bytes, &cuts)), assemble([&bytes[..]]));
    }

    #[test]
    fn mask_is_removed_piece_by_piece(bytes in vec(any::<u8>(), 0..100), mask: [u8; 4], cut in 0..100_usize) {
        let mut expected = bytes.clone();
        expected.iter_mut().enumerate().for_each(|(n, byte)| *byte ^= mask[n % 4]);
        let mut unmasked = bytes;
        let (first, second) = unmasked.split_at_mut(cut.min(expected.len()));
        apply_mask(first, mask, 0);
        apply_mask(second, mask, first.len() as u64);
        prop_assert_eq!(unmasked, expected);
    }
}

/// A text that becomes invalid at any byte. The same violation is found wherever the text is split.
#[test]
fn invalid_text_is_found_wherever_it_is_split() {
    let text = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    for wrong in 0..text.len() {
        let mut text = text.to_vec();
        text[wrong] = 0xff;
        let bytes = frame(FIN | TEXT, &text);
        for cut in 0..bytes.len() {
            let found = assemble([&bytes[..cut], &bytes[cut..]]);
            assert!(
                matches!(&found[..], [Err(Violation { code: 1007, .. })]),
                "{wrong}, {cut}: {found:?}"
            );
        }
    }
}

/// The seeds of the fuzz target, and its findings.
#[test]
fn corpus_gives_the_same_messages_however_split() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/websocket");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        fuzzed::check(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count >= 10, "{count} files in {corpus}");
}
