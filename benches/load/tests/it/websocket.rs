//! A WebSocket's messages are asked and answered as requests are.

use crate::server::{each, patience, request};
use crate::{contains, failure, load};
use anyport_bench_load::{Address, Amount, Crowd, Kind, Workload, ask};
use std::io::{Read as _, Write as _};

/// RFC 6455 1.3 has this answer to the key that's sent.
const AGREED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const SHORT: Kind = Kind::KeepAlive(Workload::WebSocket16);

/// Agrees, and answers each message with what's made of its head and its text.
fn server(
    agreed: &'static [u8],
    answer: impl Fn(Vec<u8>, Vec<u8>) -> Vec<u8> + Clone + Send + 'static,
) -> Address {
    each(move |_, mut stream| {
        let Some(head) = request(&mut stream) else {
            return;
        };
        assert!(head.starts_with("GET /websocket HTTP/1.1\r\n"), "{head}");
        contains(&head, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"]);
        stream.write_all(agreed).unwrap();
        let mut head = [0; 2];
        while stream.read_exact(&mut head).is_ok() {
            assert_eq!((head[0], head[1] & 0x80), (0x81, 0x80));
            let mut longer = vec![0; [0, 2, 8][usize::from(head[1] & 0x7f).saturating_sub(125)]];
            stream.read_exact(&mut longer).unwrap();
            let length = match longer[..] {
                [] => usize::from(head[1] & 0x7f),
                _ => longer
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            };
            let mut frame = vec![0; 4 + length];
            stream.read_exact(&mut frame).unwrap();
            let (mask, text) = frame.split_at(4);
            let text = text.iter().zip(mask.iter().cycle());
            let text = text.map(|(byte, mask)| byte ^ mask).collect();
            let head = [vec![0x81, head[1] & 0x7f], longer].concat();
            if stream.write_all(&answer(head, text)).is_err() {
                return;
            }
        }
    })
}

fn echo(head: Vec<u8>, text: Vec<u8>) -> Vec<u8> {
    [head, text].concat()
}

#[test]
fn exactly_as_many_messages_come_back_as_were_ordered() {
    for workload in [
        Workload::WebSocket16,
        Workload::WebSocket4K,
        Workload::WebSocket1M,
    ] {
        let mut load = load(&server(AGREED, echo), Kind::KeepAlive(workload), 4);
        for messages in [0, 1, 20] {
            assert_eq!(
                load.run(Amount::Requests(messages)).unwrap().count,
                messages
            );
        }
    }
}

#[test]
fn a_crowd_is_upgraded_once() {
    let address = server(AGREED, echo);
    let mut crowd = Crowd::connect(&address, Workload::WebSocket16, 5, &patience()).unwrap();
    crowd.open_each().unwrap();
    crowd.ask_each().unwrap();
    crowd.ask_each().unwrap();
}

#[test]
fn the_upgrade_and_the_message_are_told() {
    let answer = ask(&server(AGREED, echo), Workload::WebSocket16, &patience()).unwrap();
    assert_eq!(answer.status, 101);
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["connection", "sec-websocket-accept", "upgrade"]);
    assert_eq!(answer.body, Workload::WebSocket16.response_body());
}

#[test]
fn what_is_no_upgrade_or_no_echo_is_told() {
    let missing = server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", echo);
    let error = failure(&missing, SHORT);
    contains(
        &error,
        &["doesn't upgrade to a WebSocket: status 404 instead of 101"],
    );
    let another = server(AGREED, |_, _| vec![0x88, 0]);
    contains(&failure(&another, SHORT), &["opcode 8"]);
    let twice = server(AGREED, |head, text| echo(head, text).repeat(2));
    contains(&failure(&twice, SHORT), &["bytes more"]);
}
