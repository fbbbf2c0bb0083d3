//! How the servers answer that the load is tested with.
#![allow(dead_code, reason = "each test takes what it needs")]

use anyport_bench_load::{Address, Patience};
use rustls::ServerConfig;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::PrivateKeyDer;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, World!";

pub(crate) fn patience() -> Patience {
    Patience::new(Duration::from_secs(60), Arc::default())
}

/// One for tests that wait for its end. What answers is sooner, however busy the machine is.
pub(crate) fn impatience() -> Patience {
    patience().of(Duration::from_secs(1))
}

/// A good one with this body.
pub(crate) fn response(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A server on a port of its own, with a thread for each connection, which is told the connection's
/// number. They end with their connections, and the one that accepts with the test's process.
pub(crate) fn each(connection: impl Fn(usize, TcpStream) + Clone + Send + 'static) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            stream.set_nodelay(true).unwrap();
            let connection = connection.clone();
            thread::spawn(move || connection(number, stream));
        }
    });
    address
}

/// An address where no server listens. It stays so while the socket lives: a port that is merely
/// free may be given to somebody else's server.
pub(crate) fn nobody() -> (Socket, Address) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, Address::Tcp(address))
}

/// One that answers well.
pub(crate) fn healthy() -> Address {
    each(|_, stream| serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX))
}

/// Reads one request, and gives its head; nothing if the peer is gone.
pub(crate) fn request(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(head)
}

/// Answers each request with the next of `answers`, over and over; each is written in its parts.
/// Closes after `requests` of them.
pub(crate) fn serve(mut stream: impl Read + Write, answers: &[Vec<Vec<u8>>], requests: usize) {
    for parts in answers.iter().cycle().take(requests) {
        if request(&mut stream).is_none() {
            return;
        }
        for part in parts {
            if stream
                .write_all(part)
                .and_then(|()| stream.flush())
                .is_err()
            {
                return;
            }
        }
    }
}

/// What servers over TLS do, unless a test changes it.
pub(crate) fn config() -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new().unwrap();
    config
}
