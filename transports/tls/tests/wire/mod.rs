//! A client whose bytes a test sends itself, and the records that contain them.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a helper that unwraps fails with a line number, as a test does"
)]

use crate::client::Authority;
use anyport_tls::rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use std::{
    io::{self, Read, Write},
    sync::Arc,
};

/// The first flight of a client that offers no ALPN protocol.
pub(crate) fn client_hello(authority: &Authority) -> Vec<u8> {
    client_hello_of(authority.client_config(None))
}

pub(crate) fn client_hello_of(config: ClientConfig) -> Vec<u8> {
    RawClient::new(config).flight()
}

/// The client's side of a handshake with `localhost`, flight by flight.
pub(crate) struct RawClient(pub(crate) ClientConnection);

impl RawClient {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        Self(ClientConnection::new(Arc::new(config), name).unwrap())
    }

    /// The bytes that the client wants to send now.
    pub(crate) fn flight(&mut self) -> Vec<u8> {
        let mut flight = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut flight).unwrap();
        }
        flight
    }

    /// Sends the ClientHello and reads the response. Returns the next flight, which ends with the
    /// Finished message.
    pub(crate) fn last_flight(&mut self, stream: &mut (impl Read + Write)) -> io::Result<Vec<u8>> {
        stream.write_all(&self.flight())?;
        loop {
            if self.0.read_tls(stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.0.process_new_packets().unwrap();
            // The client has nothing to send until it has received the server's whole flight.
            let flight = self.flight();
            if !flight.is_empty() {
                return Ok(flight);
            }
        }
    }
}

/// The visible part of a record (RFC 8446 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u8,
    pub(crate) length: usize,
}

impl Record {
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const DATA: u8 = 23;
}

/// The records of complete flights.
pub(crate) fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let [kind, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        records.push(Record {
            kind: *kind,
            length,
        });
        bytes = rest.get(length..).unwrap();
    }
    assert!(bytes.is_empty(), "{bytes:x?}");
    records
}
