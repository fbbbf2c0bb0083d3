//! A WebSocket's messages are asked and answered as requests are.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod server;

use anyport_bench_load::{Address, Amount, ClosedLoop, Crowd, Workload, ask};
use server::{each, patience, request};
use std::io::{Read as _, Write as _};

/// RFC 6455 1.3 has this answer to the key that's sent.
const AGREED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Agrees, and answers each message with a frame made of its head and its text.
fn server(
    agreed: &'static [u8],
    answer: impl Fn([u8; 2], Vec<u8>) -> Vec<u8> + Clone + Send + 'static,
) -> Address {
    each(move |_, mut stream| {
        let Some(head) = request(&mut stream) else {
            return;
        };
        assert!(head.starts_with("GET /websocket HTTP/1.1\r\n"), "{head}");
        assert!(
            head.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            "{head}"
        );
        stream.write_all(agreed).unwrap();
        let mut frame = [0; 2 + 4 + 13];
        while stream.read_exact(&mut frame).is_ok() {
            assert_eq!(frame[..2], [0x81, 0x80 | 13]);
            let mask = frame[2..6].iter().cycle();
            let text = frame[6..]
                .iter()
                .zip(mask)
                .map(|(byte, mask)| byte ^ mask)
                .collect();
            if stream.write_all(&answer([0x81, 13], text)).is_err() {
                return;
            }
        }
    })
}

fn echo(head: [u8; 2], text: Vec<u8>) -> Vec<u8> {
    [head.to_vec(), text].concat()
}

fn failure(address: &Address) -> String {
    let load = ClosedLoop::connect(address, Workload::WebSocket, 2, &patience());
    let failed = load
        .and_then(|mut load| load.run(Amount::Requests(10)))
        .unwrap_err();
    format!("{failed:#}")
}

#[test]
fn exactly_as_many_messages_come_back_as_were_ordered() {
    let mut load =
        ClosedLoop::connect(&server(AGREED, echo), Workload::WebSocket, 4, &patience()).unwrap();
    for messages in [0, 1, 5, 1000] {
        assert_eq!(
            load.run(Amount::Requests(messages)).unwrap().requests,
            messages
        );
    }
}

#[test]
fn a_crowd_is_upgraded_once() {
    let mut crowd =
        Crowd::connect(&server(AGREED, echo), Workload::WebSocket, 5, &patience()).unwrap();
    crowd.ask_each().unwrap();
    crowd.ask_each().unwrap();
}

#[test]
fn the_upgrade_and_the_message_are_told() {
    let answer = ask(&server(AGREED, echo), Workload::WebSocket, &patience()).unwrap();
    assert_eq!(answer.status, 101);
    let accept = (
        "sec-websocket-accept".to_owned(),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned(),
    );
    assert!(answer.headers.contains(&accept), "{answer:?}");
    assert_eq!(answer.body, b"Hello, World!");
}

#[test]
fn what_is_no_upgrade_is_told() {
    let refused = failure(&server(
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        echo,
    ));
    assert!(refused.contains("doesn't upgrade"), "{refused}");
    assert!(refused.contains("status 404 instead of 101"), "{refused}");
    let accept = failure(&server(
        b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n",
        echo,
    ));
    assert!(accept.contains("sec-websocket-accept"), "{accept}");
}

#[test]
fn another_message_is_told() {
    type Answer = fn([u8; 2], Vec<u8>) -> Vec<u8>;
    let answers: [(Answer, &str); 4] = [
        (|_, _| vec![0x88, 0], "opcode 8"),
        (
            |_, text| [vec![0x81, 12], text].concat(),
            "length 12 instead of 13",
        ),
        (
            |head, _| [&head, b"Hello, world!".as_slice()].concat(),
            "from its byte 7 on",
        ),
        (|head, text| echo(head, text).repeat(2), "bytes more"),
    ];
    for (answer, what) in answers {
        let failure = failure(&server(AGREED, answer));
        assert!(failure.contains(what), "{failure}");
    }
}
