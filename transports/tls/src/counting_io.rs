//! Counts the bytes that leave a TLS session. The session buffers what is written to it, so a write
//! alone shows no progress.
use anyport_core::Connection;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll},
};

/// Counts the bytes that leave a session.
#[derive(Debug)]
pub struct CountingIo<C> {
    pub(crate) io: C,
    /// How many bytes the transport has taken so far.
    pub(crate) sent: u64,
    /// The next write is tried even if the runtime reports that the socket is not writable.
    retry_next_write: bool,
}

impl<C> CountingIo<C> {
    pub(crate) fn new(io: C) -> Self {
        Self {
            io,
            sent: 0,
            retry_next_write: false,
        }
    }

    /// Tries the next write even if the runtime reports that the socket is not writable.
    pub(crate) fn retry_next_write(&mut self) {
        self.retry_next_write = true;
    }
}

impl<C: Connection> CountingIo<C> {
    fn count(
        &mut self,
        mut written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if mem::take(&mut self.retry_next_write) && written.is_pending() {
            written = Pin::new(&mut self.io).poll_retry_write(cx, bufs);
        }
        if let Poll::Ready(Ok(bytes)) = written {
            self.sent = self.sent.wrapping_add(bytes as u64);
        }
        written
    }
}

impl<C: Read + Unpin> Read for CountingIo<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<C: Connection> Write for CountingIo<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.count(written, cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.count(written, cx, bufs)
    }
}
