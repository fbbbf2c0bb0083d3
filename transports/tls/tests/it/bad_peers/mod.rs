//! Peers that violate TLS: each is closed within the handshake timeout, and the observer receives
//! one error.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

mod interrupted;
mod malformed;
mod plaintext;
mod rejected;

use crate::{
    client::Authority,
    fixture::{TIMEOUT, TestServer, over_tcp},
};
use anyport_core::{Server, Timeouts};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

pub(super) const DEADLINE: Duration = Duration::from_millis(300);

pub(super) fn server(authority: &Authority) -> TestServer {
    TestServer::start(over_tcp(authority.server()))
}

pub(super) fn start_with_timeout(server: Server, deadline: Duration) -> TestServer {
    TestServer::start(server.timeouts(Timeouts::default().with_handshake(deadline)))
}

pub(super) fn connect(server: &TestServer) -> TcpStream {
    let stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// All bytes until the connection is closed or reset.
pub(super) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
        _ => received,
    }
}

/// A fatal alert (RFC 8446 6.2) in a record of its own.
pub(super) fn alert(description: u8) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, description]
}

/// Sends only these bytes and stays connected. Returns what the peer receives, and the observer's
/// error.
pub(super) fn response_to(bytes: &[u8]) -> (Vec<u8>, io::ErrorKind, String) {
    let server = server(&Authority::new());
    let mut stream = connect(&server);
    stream.write_all(bytes).unwrap();
    let received = read_all(&mut stream);
    let (kind, error) = server.log.single_failure();
    server.shut_down();
    (received, kind, error)
}
