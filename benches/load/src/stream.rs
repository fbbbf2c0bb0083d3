//! A socket to read from and to write to, with TLS on it where the address says so.

use crate::{Patience, socket, tls};
use anyhow::Context as _;
use anyport_bench_child::Address;
use rustls::client::{ClientConnection, Resumption};
use rustls::{ClientConfig, Stream as Session};
use socket2::Socket;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

/// Opens streams to one address.
#[derive(Debug)]
pub(crate) struct Connector {
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    patience: Patience,
}

impl Connector {
    pub(crate) fn new(address: &Address, patience: &Patience) -> anyhow::Result<Self> {
        Self::offering(tls::HTTP_1_1, address, patience)
    }

    /// Over TLS, `protocol` is what ALPN has to agree on.
    pub(crate) fn offering(
        protocol: &[u8],
        address: &Address,
        patience: &Patience,
    ) -> anyhow::Result<Self> {
        let tls = match address {
            Address::Tls(_) => Some(tls::config(Resumption::disabled(), protocol)?),
            _ => None,
        };
        Ok(Self {
            address: address.clone(),
            tls,
            patience: patience.clone(),
        })
    }

    /// Connects, and says nothing.
    pub(crate) fn connect(&self) -> anyhow::Result<Stream> {
        self.over(socket::connect(&self.address, &self.patience)?)
    }

    /// Begins to connect, without waiting for the server; the stream is a nonblocking one, and
    /// writable when it's connected.
    pub(crate) fn begin(&self) -> anyhow::Result<Stream> {
        self.over(socket::begin(&self.address, &self.patience)?)
    }

    fn over(&self, socket: Socket) -> anyhow::Result<Stream> {
        let session = self
            .tls
            .as_ref()
            .map(tls::session)
            .transpose()?
            .map(Box::new);
        Ok(Stream { socket, session })
    }
}

/// A connection, a blocking one at first.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    // In a box: plain connections are small.
    session: Option<Box<ClientConnection>>,
}

impl Stream {
    /// Makes the handshake, if there's one to be made and it hasn't been; while the stream is a
    /// blocking one.
    pub(crate) fn shake_hands(&mut self) -> anyhow::Result<()> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        while session.is_handshaking() {
            session
                .complete_io(&mut &self.socket)
                .context("cannot make a TLS handshake")?;
        }
        tls::check(session)
    }

    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)
    }

    /// Whether there's something encrypted that the socket had no room for.
    pub(crate) fn wants_room(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.wants_write())
    }

    /// Whether a read that doesn't fill the buffer took all that was there.
    pub(crate) fn is_drained_by_short_read(&self) -> bool {
        self.session.is_none()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.read(buffer),
            Some(session) => Session::new(&mut **session, &mut self.socket).read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.session {
            None => self.socket.write(bytes),
            Some(session) => Session::new(&mut **session, &mut self.socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.session {
            None => Ok(()),
            Some(session) => Session::new(&mut **session, &mut self.socket).flush(),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
