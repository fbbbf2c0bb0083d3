//! Reads the ClientHello, and answers peers that are refused.
use anyport_core::Connection;
use bytes::{Buf, Bytes};
use hyper::rt::ReadBuf;
use rustls::server::{Accepted, Acceptor};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How much is read at first. rustls has room for more than this.
const FIRST_READ: usize = 1024;

/// How much is taken in from a peer that isn't served, and how much of it at once.
const MOST_READ: usize = 64 * 1024;
const READ: usize = 4096;

/// Reads a ClientHello (RFC 8446 4.1.2).
pub(crate) struct Hello<C> {
    io: C,
    acceptor: Acceptor,
}

/// A peer that isn't served.
pub(crate) struct Unwelcome {
    pub(crate) error: io::Error,
    /// What it's told.
    pub(crate) answer: Bytes,
}

impl From<io::Error> for Unwelcome {
    fn from(error: io::Error) -> Self {
        let answer = Bytes::new();
        Self { error, answer }
    }
}

/// Waits for the first bytes, with nothing of rustls: a socket may seem readable when it isn't, and
/// tokio's do when they're new.
pub(crate) fn poll_first<C: Connection>(
    io: &mut C,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    ready!(Pin::new(&mut *io).poll_readable(cx))?;
    let mut scratch = [const { MaybeUninit::uninit() }; FIRST_READ];
    let mut buf = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(io).poll_read(cx, buf.unfilled()))?;
    match buf.filled() {
        [] => Poll::Ready(Err(left())),
        first => Poll::Ready(Ok(Bytes::copy_from_slice(first))),
    }
}

fn left() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the peer left before it had said hello",
    )
}

impl<C: Connection> Hello<C> {
    /// A ClientHello that begins with these bytes.
    pub(crate) fn new(io: C, mut first: &[u8]) -> Result<Self, (C, Unwelcome)> {
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

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted, Unwelcome>> {
        loop {
            match self.acceptor.accept() {
                Ok(None) => {}
                Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                Err((error, mut alert)) => {
                    let mut answer = Vec::new();
                    // Writing to memory doesn't fail.
                    let _ = alert.write_all(&mut answer);
                    return Poll::Ready(Err(Unwelcome {
                        error: io::Error::new(io::ErrorKind::InvalidData, error),
                        answer: answer.into(),
                    }));
                }
            }
            ready!(Pin::new(&mut self.io).poll_readable(cx))?;
            // By rustls itself, which knows what it has room for: what follows the ClientHello
            // belongs to the handshake.
            match self.acceptor.read_tls(&mut Reader {
                io: &mut self.io,
                cx,
            }) {
                Ok(0) => return Poll::Ready(Err(left().into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

/// A connection, as rustls reads it.
struct Reader<'a, 'b, C> {
    io: &'a mut C,
    cx: &'a mut Context<'b>,
}

impl<C: Connection> io::Read for Reader<'_, '_, C> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(into);
        match Pin::new(&mut *self.io).poll_read(self.cx, buf.unfilled()) {
            Poll::Ready(read) => read?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(buf.filled().len())
    }
}

/// Tells a peer why it isn't served, as far as it listens.
pub(crate) struct Farewell<C> {
    io: C,
    answer: Bytes,
    error: Option<io::Error>,
}

impl<C: Connection> Farewell<C> {
    pub(crate) fn new(io: C, Unwelcome { error, answer }: Unwelcome) -> Self {
        Self {
            io,
            answer,
            error: Some(error),
        }
    }

    /// Ready with the reason.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // Whether it was told is its own affair.
        let _ = ready!(self.poll_tell(cx));
        match self.error.take() {
            Some(error) => Poll::Ready(error),
            None => Poll::Pending,
        }
    }

    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = Pin::new(&mut self.io);
        while self.answer.has_remaining() {
            match ready!(io.as_mut().poll_write(cx, &self.answer))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.answer.advance(n),
            }
        }
        ready!(io.as_mut().poll_shutdown(cx))?;
        // What the peer has sent meanwhile is taken in: closing a socket that has something to read
        // resets it, and the peer might lose what it was told.
        for _ in 0..MOST_READ / READ {
            let mut scratch = [const { MaybeUninit::uninit() }; READ];
            let mut buf = ReadBuf::uninit(&mut scratch);
            match io.as_mut().poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
