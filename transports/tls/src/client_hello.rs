//! Reads the ClientHello, and the first bytes before it.
use crate::{proxy_header, reject::Rejection};
use anyport_core::Connection;
use bytes::Bytes;
use hyper::rt::ReadBuf;
use rustls::server::{Accepted, Acceptor};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How much is read at first. rustls has space for more.
const FIRST_READ: usize = 1024;

/// Reads a ClientHello (RFC 8446 4.1.2).
pub(crate) struct ClientHelloReader<C> {
    io: C,
    acceptor: Acceptor,
}

/// Waits for the first bytes, before rustls allocates any state. It also reads, because a new tokio
/// socket reports readiness before it has data.
pub(crate) fn poll_first_bytes<C: Connection>(
    io: &mut C,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    ready!(Pin::new(&mut *io).poll_readable(cx))?;
    let mut scratch = [const { MaybeUninit::uninit() }; FIRST_READ];
    let mut buf = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(io).poll_read(cx, buf.unfilled()))?;
    match buf.filled() {
        [] => Poll::Ready(Err(closed_before_hello())),
        first => Poll::Ready(Ok(Bytes::copy_from_slice(first))),
    }
}

fn closed_before_hello() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the peer closed the connection before it sent a ClientHello",
    )
}

impl<C: Connection> ClientHelloReader<C> {
    /// A reader of a ClientHello that begins with `first`.
    pub(crate) fn new(io: C, mut first: &[u8]) -> Result<Self, (C, Rejection)> {
        if let Some(error) = proxy_header::error(first) {
            return Err((io, error.into()));
        }
        let mut acceptor = Acceptor::default();
        while !first.is_empty() {
            match acceptor.read_tls(&mut first) {
                Ok(0) => return Err((io, io::Error::from(io::ErrorKind::InvalidData).into())),
                Ok(_) => {}
                Err(error) => return Err((io, error.into())),
            }
        }
        Ok(Self { io, acceptor })
    }

    pub(crate) fn into_inner(self) -> C {
        self.io
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted, Rejection>> {
        loop {
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Err((error, mut alert)) => {
                    let mut response = Vec::new();
                    // Writing to a vector does not fail.
                    let _ = alert.write_all(&mut response);
                    return Poll::Ready(Err(Rejection {
                        error: io::Error::new(io::ErrorKind::InvalidData, error),
                        response: response.into(),
                    }));
                }
            }
            ready!(Pin::new(&mut self.io).poll_readable(cx))?;
            // rustls limits how much it reads: bytes after the ClientHello belong to the handshake.
            match self.acceptor.read_tls(&mut ReadAdapter {
                io: &mut self.io,
                cx,
            }) {
                Ok(0) => return Poll::Ready(Err(closed_before_hello().into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

/// The connection as a blocking reader for rustls.
struct ReadAdapter<'a, 'b, C> {
    io: &'a mut C,
    cx: &'a mut Context<'b>,
}

impl<C: Connection> io::Read for ReadAdapter<'_, '_, C> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(self.cx, buf.unfilled()) {
            Poll::Ready(read) => read?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(buf.filled().len())
    }
}
