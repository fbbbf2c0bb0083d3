//! Bytes arrive in pieces of any size, and nothing depends on it.
#![expect(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::{Authority, Client};
use crate::scene::{HELLO, Served, app, made};
use crate::wire::{Talk, hello};
use anyport_core::{Server, Timeouts, serve_with};
use anyport_memory::{Memory, MemoryStream};
use anyport_tls::TlsExt;
use std::{
    io::{Read, Write},
    time::Duration,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server to which both sides speak through a pipe of so many bytes: none arrives before the
/// other side has taken the ones before.
fn through(authority: &Authority, bytes: usize) -> (Served, MemoryStream) {
    let memory = Memory::new().with_buffer(bytes);
    let connector = memory.connector();
    let server: Server = serve_with(memory.tls(authority.server()), app());
    let patient = Timeouts::default().with_handshake(Duration::MAX);
    // Each piece would be a change of threads.
    let served = Served::start_here(server.timeouts(patient));
    (served, connector.connect().unwrap())
}

/// A handshake and a request. It reads while it writes: in TLS 1.3 a client says something in the
/// middle of the server's flight, and rustls listens only when all of that has left.
async fn ask(authority: &Authority, pipe: MemoryStream, request: &str) -> Vec<u8> {
    let (mut read, mut write) = tokio::io::split(pipe);
    let mut talk = Talk::new(authority.client_config(None));
    talk.0.writer().write_all(request.as_bytes()).unwrap();
    let (mut to_say, mut answer, mut bytes) = (Vec::new(), Vec::new(), [0; 4096]);
    loop {
        to_say.extend(talk.flight());
        let n = tokio::select! {
            n = write.write(&to_say), if !to_say.is_empty() => {
                to_say.drain(..n.unwrap());
                continue;
            }
            n = read.read(&mut bytes) => n.unwrap(),
        };
        if n == 0 {
            return answer;
        }
        talk.0.read_tls(&mut &bytes[..n]).unwrap();
        let state = talk.0.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        talk.0.reader().read_exact(&mut plain).unwrap();
        answer.extend(plain);
    }
}

const GET: &str = "GET /2000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The hello is cut once, in the middle of its bytes, wherever that is.
#[test]
fn a_hello_that_is_cut_anywhere_is_whole_with_its_rest() {
    let authority = Authority::new();
    let get = GET.replace("2000", "");
    for length in 1..=hello(&authority).len() {
        let (served, pipe) = through(&authority, length);
        let answer = served.run(ask(&authority, pipe, &get));
        assert!(answer.ends_with(HELLO.as_bytes()), "after {length} bytes");
        served.ends();
    }
}

#[test]
fn byte_by_byte() {
    let authority = Authority::new();
    let (served, pipe) = through(&authority, 1);
    let answer = served.run(ask(&authority, pipe, GET));
    assert!(answer.ends_with(&made(2000)));
    served.ends();
}

/// Each side's largest records, through a pipe that holds a bit of one.
#[test]
fn records_of_the_largest_size() {
    let authority = Authority::new();
    let (served, pipe) = through(&authority, 1000);
    let client: Client = authority.client();
    served.run(async {
        let stream = client.connect(pipe).await.unwrap();
        // A head that's longer than a record.
        let filling = "x".repeat(20_000);
        let request = format!(
            "GET /100000 HTTP/1.1\r\nHost: localhost\r\nX: {filling}\r\nConnection: close\r\n\r\n"
        );
        let (mut read, mut write) = tokio::io::split(stream);
        let answer = async {
            let mut answer = Vec::new();
            read.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let ask = async {
            write.write_all(request.as_bytes()).await.unwrap();
            write.flush().await.unwrap();
        };
        let ((), answer) = tokio::join!(ask, answer);
        assert!(answer.ends_with(&made(100_000)));
    });
    served.ends();
}
