//! Servers for the tests of the load.

use anyport_bench_load::{Address, Timeout};
use rustls::ServerConfig;
use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, World!";

pub(crate) fn timeout() -> Timeout {
    Timeout::new(Duration::from_secs(60), Arc::default())
}

/// For tests that wait for it to end. Servers that respond are sooner, however busy the machine is.
pub(crate) fn short_timeout() -> Timeout {
    timeout().with_duration(Duration::from_secs(1))
}

/// A right response with this body.
pub(crate) fn response(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A server on its own port, with a thread for each connection. `connection` gets the number of the
/// connection. The thread that accepts ends with the test's process.
pub(crate) fn on_each_connection(
    connection: impl Fn(usize, TcpStream) + Clone + Send + 'static,
) -> Address {
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

/// A server whose responses are right.
pub(crate) fn healthy() -> Address {
    on_each_connection(|_, stream| serve(stream, &[vec![RESPONSE.to_vec()]], usize::MAX))
}

/// Reads one request, and gives its head. `None` if the client has closed.
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

/// Sends the next of `responses` for each request, again and again, part by part. Closes after so
/// many requests.
pub(crate) fn serve(mut stream: impl Read + Write, responses: &[Vec<Vec<u8>>], requests: usize) {
    for parts in responses.iter().cycle().take(requests) {
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

/// Responds, and closes after a request with `Connection: close`.
pub(crate) fn closing(mut stream: impl Read + Write) {
    while let Some(head) = request(&mut stream) {
        stream.write_all(RESPONSE).unwrap();
        if head.contains("\r\nConnection: close\r\n") {
            return;
        }
    }
}

/// The configuration of servers over TLS, unless a test changes it.
pub(crate) fn tls_config() -> ServerConfig {
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
