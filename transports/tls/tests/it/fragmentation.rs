//! Bytes may arrive in fragments of any size.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::fixture::{HELLO, TestServer, app, body_of};
use crate::wire::{RawClient, client_hello};
use anyport_core::{Server, Timeouts, serve_with};
use anyport_memory::{Memory, MemoryStream};
use anyport_tls::TlsExt;
use std::{
    io::{Read, Write},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server behind a pipe that holds `bytes` bytes: no more arrive before the other side has read
/// them.
fn serve_through_pipe(authority: &Authority, bytes: usize) -> (TestServer, MemoryStream) {
    let memory = Memory::new().with_buffer(bytes);
    let connector = memory.connector();
    let server: Server = serve_with(memory.tls(authority.server()), app());
    let no_timeout = Timeouts::default().with_handshake(Duration::MAX);
    // Both ends run on one thread, because each fragment would otherwise be a thread switch.
    let server = TestServer::start_on_this_thread(server.timeouts(no_timeout));
    (server, connector.connect().unwrap())
}

/// A handshake and a request. The client reads while it writes. In TLS 1.3 it sends in the middle
/// of the server's flight, but rustls reads only after it has sent all of that flight.
async fn get_response(authority: &Authority, pipe: MemoryStream, request: &str) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(pipe);
    let mut client = RawClient::new(authority.client_config(None));
    client.0.writer().write_all(request.as_bytes()).unwrap();
    let (mut to_send, mut response, mut bytes) = (Vec::new(), Vec::new(), [0; 4096]);
    loop {
        to_send.extend(client.flight());
        let n = tokio::select! {
            n = write.write(&to_send), if !to_send.is_empty() => {
                to_send.drain(..n.unwrap());
                continue;
            }
            n = read.read(&mut bytes) => n.unwrap(),
        };
        if n == 0 {
            return response;
        }
        client.0.read_tls(&mut &bytes[..n]).unwrap();
        let state = client.0.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        client.0.reader().read_exact(&mut plain).unwrap();
        response.extend(plain);
    }
}

const GET: &str = "GET /2000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The ClientHello is split once, at each position.
#[test]
fn client_hello_may_be_split_at_any_byte() {
    let authority = Authority::new();
    let get = GET.replace("2000", "");
    for length in 1..=client_hello(&authority).len() {
        let (server, pipe) = serve_through_pipe(&authority, length);
        let response = server.run(get_response(&authority, pipe, &get));
        assert!(response.ends_with(HELLO.as_bytes()), "after {length} bytes");
        server.shut_down();
    }
}

#[test]
fn handshake_and_request_may_arrive_byte_by_byte() {
    let authority = Authority::new();
    let (server, pipe) = serve_through_pipe(&authority, 1);
    let response = server.run(get_response(&authority, pipe, GET));
    assert!(response.ends_with(&body_of(2000)));
    server.shut_down();
}

/// The largest records of both sides, through a pipe that holds a part of one.
#[test]
fn largest_records_fit_through_a_small_pipe() {
    let authority = Authority::new();
    let (server, pipe) = serve_through_pipe(&authority, 1000);
    let client: Client = authority.client();
    server.run(async {
        let stream = client.connect(pipe).await.unwrap();
        // A request head that is longer than a record.
        let filling = "x".repeat(20_000);
        let request = format!(
            "GET /100000 HTTP/1.1\r\nHost: localhost\r\nX: {filling}\r\nConnection: close\r\n\r\n"
        );
        let (mut read, mut write) = tokio::io::split(stream);
        let response = async {
            let mut response = Vec::new();
            read.read_to_end(&mut response).await.unwrap();
            response
        };
        let get_response = async {
            write.write_all(request.as_bytes()).await.unwrap();
            write.flush().await.unwrap();
        };
        let ((), response) = tokio::join!(get_response, response);
        assert!(response.ends_with(&body_of(100_000)));
    });
    server.shut_down();
}
