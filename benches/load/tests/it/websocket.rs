//! The load of WebSockets, against a small server.

use crate::server::{on_each_connection, request, timeout};
use crate::{contains, failure, load};
use anyport_bench_load::{Address, Amount, IdleConnections, Kind, Workload};
use std::io::{Read as _, Write as _};

/// The response to the client's key, from RFC 6455 1.3.
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const SHORT: Kind = Kind::KeepAlive(Workload::WebSocket16);

/// Sends this response to the upgrade. For each message, `respond` makes the answer.
fn server(
    upgrade: &'static [u8],
    respond: impl Fn(Vec<u8>, Vec<u8>) -> Vec<u8> + Clone + Send + 'static,
) -> Address {
    on_each_connection(move |_, mut stream| {
        let Some(head) = request(&mut stream) else {
            return;
        };
        assert!(head.starts_with("GET /websocket HTTP/1.1\r\n"), "{head}");
        contains(&head, &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"]);
        stream.write_all(upgrade).unwrap();
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
            if stream.write_all(&respond(head, text)).is_err() {
                return;
            }
        }
    })
}

fn echo(head: Vec<u8>, text: Vec<u8>) -> Vec<u8> {
    [head, text].concat()
}

#[test]
fn run_sends_exactly_as_many_messages_as_told() {
    for workload in [
        Workload::WebSocket16,
        Workload::WebSocket4K,
        Workload::WebSocket1M,
    ] {
        let mut load = load(&server(SWITCHING, echo), Kind::KeepAlive(workload), 4);
        for messages in [0, 1, 20] {
            assert_eq!(
                load.run(Amount::Requests(messages)).unwrap().count,
                messages
            );
        }
    }
}

#[test]
fn idle_connections_are_upgraded_once() {
    let address = server(SWITCHING, echo);
    let mut idle =
        IdleConnections::connect(&address, Workload::WebSocket16, 5, &timeout()).unwrap();
    idle.open().unwrap();
    idle.request().unwrap();
    idle.request().unwrap();
}

#[test]
fn refused_upgrades_and_other_messages_are_errors() {
    let missing = server(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", echo);
    let error = failure(&missing, SHORT);
    contains(
        &error,
        &["does not upgrade to a WebSocket: status 404 instead of 101"],
    );
    let unproved = server(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", echo);
    contains(&failure(&unproved, SHORT), &["sec-websocket-accept is not"]);
    let another = server(SWITCHING, |_, _| vec![0x88, 0]);
    contains(&failure(&another, SHORT), &["opcode 8"]);
    let twice = server(SWITCHING, |head, text| echo(head, text).repeat(2));
    contains(&failure(&twice, SHORT), &["bytes more"]);
}
