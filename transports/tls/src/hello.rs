//! The ClientHello, and what's answered to a peer that begins otherwise.
use anyport_core::Connection;
use bytes::{Buf, Bytes};
use hyper::rt::ReadBuf;
use rustls::server::{Accepted, Acceptor};
use std::{
    fmt::Write as _,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How much is read at once: more than a common ClientHello, post-quantum key share included.
const READ: usize = 4096;

/// How much is taken in from a peer that isn't served.
const MOST_READ: usize = 64 * 1024;

/// Reads a ClientHello (RFC 8446 4.1.2).
pub(crate) struct Hello<C> {
    io: C,
    acceptor: Acceptor,
    begun: bool,
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

impl<C: Connection> Hello<C> {
    pub(crate) fn new(io: C) -> Self {
        Self {
            io,
            acceptor: Acceptor::default(),
            begun: false,
        }
    }

    pub(crate) fn into_inner(self) -> C {
        self.io
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Accepted, Unwelcome>> {
        loop {
            let mut scratch = [const { MaybeUninit::uninit() }; READ];
            let mut buf = ReadBuf::uninit(&mut scratch);
            ready!(Pin::new(&mut self.io).poll_readable(cx))?;
            ready!(Pin::new(&mut self.io).poll_read(cx, buf.unfilled()))?;
            let read = buf.filled();
            if read.is_empty() {
                let error = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer left before it had said hello",
                );
                return Poll::Ready(Err(error.into()));
            }
            // No record of TLS begins so (RFC 8446 5.1), and each request does.
            if !self.begun && read[0].is_ascii_uppercase() {
                return Poll::Ready(Err(plaintext()));
            }
            self.begun = true;
            if let Some(accepted) = self.take_in(read)? {
                return Poll::Ready(Ok(accepted));
            }
        }
    }

    fn take_in(&mut self, mut read: &[u8]) -> Result<Option<Accepted>, Unwelcome> {
        while !read.is_empty() {
            if self.acceptor.read_tls(&mut read)? == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the ClientHello is too long").into());
            }
        }
        self.acceptor.accept().map_err(|(error, mut alert)| {
            let mut answer = Vec::new();
            // Writing to memory doesn't fail.
            let _ = alert.write_all(&mut answer);
            Unwelcome {
                error: io::Error::new(io::ErrorKind::InvalidData, error),
                answer: answer.into(),
            }
        })
    }
}

/// A client that took the port for one without TLS understands an answer without it.
fn plaintext() -> Unwelcome {
    let text = "This port speaks HTTPS: begin the address with https:// instead of http://.\n";
    let mut answer = String::from(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n",
    );
    let _ = write!(answer, "Content-Length: {}\r\n\r\n{text}", text.len());
    Unwelcome {
        error: io::Error::new(io::ErrorKind::InvalidData, "the peer spoke without TLS"),
        answer: answer.into(),
    }
}

/// Tells a peer why it isn't served, as far as it listens.
pub(crate) struct Farewell<C> {
    io: C,
    answer: Bytes,
    error: Option<io::Error>,
}

impl<C: Connection> Farewell<C> {
    pub(crate) fn new(io: C, answer: Bytes, error: io::Error) -> Self {
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
        // What the peer has sent meanwhile is taken in: closing a socket that has something to read resets it, and the peer might lose what it was told.
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
