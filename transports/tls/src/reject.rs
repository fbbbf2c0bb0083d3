//! Sends a rejected peer a TLS alert or an HTTP response.
use anyport_core::Connection;
use bytes::{Buf, Bytes};
use hyper::rt::ReadBuf;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// How much is read from a rejected peer, and how much at once.
const MAX_DISCARDED: usize = 64 * 1024;
const CHUNK: usize = 4096;

/// The reason why a peer is rejected, and the bytes that it gets.
pub(crate) struct Rejection {
    pub(crate) error: io::Error,
    /// Empty if there is nothing to send.
    pub(crate) response: Bytes,
}

impl From<io::Error> for Rejection {
    fn from(error: io::Error) -> Self {
        let response = Bytes::new();
        Self { error, response }
    }
}

/// Sends a rejected peer its response.
pub(crate) struct Reject<C> {
    io: C,
    response: Bytes,
    error: Option<io::Error>,
}

impl<C: Connection> Reject<C> {
    pub(crate) fn new(io: C, Rejection { error, response }: Rejection) -> Self {
        Self {
            io,
            response,
            error: Some(error),
        }
    }

    /// Ready with the error once the response is sent.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // A peer that does not receive its response is rejected all the same.
        let _ = ready!(self.poll_respond(cx));
        match self.error.take() {
            Some(error) => Poll::Ready(error),
            None => Poll::Pending,
        }
    }

    fn poll_respond(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut io = Pin::new(&mut self.io);
        while self.response.has_remaining() {
            match ready!(io.as_mut().poll_write(cx, &self.response))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.response.advance(n),
            }
        }
        ready!(io.as_mut().poll_shutdown(cx))?;
        // Closing a socket with unread bytes resets it, and the peer might lose the response. So
        // the bytes that have arrived are read first.
        for _ in 0..MAX_DISCARDED / CHUNK {
            let mut scratch = [const { MaybeUninit::uninit() }; CHUNK];
            let mut buf = ReadBuf::uninit(&mut scratch);
            match io.as_mut().poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}
