//! The bytes of the request, made once: a GET as short as HTTP/1.1 allows.

use anyport_bench_child::Address;

/// `GET /` of whoever listens there.
pub(crate) fn get(address: &Address) -> Vec<u8> {
    let host = match address {
        Address::Tcp(address) | Address::Tls(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}
