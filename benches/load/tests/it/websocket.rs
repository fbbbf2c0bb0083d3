//! The load of WebSockets, against a small server.

use crate::server::{on_each_connection, timeout};
use crate::{contains, failure, load, server};
use anyport_bench_load::{Address, Amount, IdleConnections, Kind, Workload};
use tungstenite::Message;

const SHORT: Kind = Kind::KeepAlive(Workload::WebSocket16);

/// Sends the answers of `respond` to each message at once.
fn websocket(respond: fn(Message) -> Vec<Message>) -> Address {
    on_each_connection(move |_, stream| {
        let Ok(mut socket) = tungstenite::accept(stream) else {
            return;
        };
        while let Ok(message) = socket.read() {
            assert!(message.is_text(), "{message}");
            for answer in respond(message) {
                let _ = socket.write(answer);
            }
            let _ = socket.flush();
        }
    })
}

#[test]
fn run_sends_exactly_as_many_messages_as_told() {
    for workload in [
        Workload::WebSocket16,
        Workload::WebSocket4K,
        Workload::WebSocket1M,
    ] {
        let address = websocket(|message| vec![message]);
        let mut load = load(&address, Kind::KeepAlive(workload), 4);
        for messages in [0, 1, 20] {
            let outcome = load.run(Amount::Requests(messages)).unwrap();
            assert_eq!(outcome.count, messages);
        }
    }
}

#[test]
fn idle_connections_are_upgraded_once() {
    let address = websocket(|message| vec![message]);
    let idle = IdleConnections::connect(&address, Workload::WebSocket16, 5, &timeout());
    let mut idle = idle.unwrap();
    idle.open().unwrap();
    idle.request().unwrap();
    idle.request().unwrap();
}

#[test]
fn refused_upgrades_and_other_messages_are_errors() {
    let missing = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
    let error = failure(&server(vec![vec![missing]], usize::MAX), SHORT);
    contains(
        &error,
        &["does not upgrade to a WebSocket: status 404 instead of 101"],
    );
    let unproved = b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec();
    let error = failure(&server(vec![vec![unproved]], usize::MAX), SHORT);
    contains(&error, &["sec-websocket-accept is not"]);
    let another = websocket(|message| vec![Message::Binary(message.into_data())]);
    contains(&failure(&another, SHORT), &["opcode 2"]);
    let twice = websocket(|message| vec![message.clone(), message]);
    contains(&failure(&twice, SHORT), &["bytes more"]);
}
