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

#[derive(Debug)]
pub(crate) struct Below<C> {
    pub(crate) io: C,
    /// How many bytes have left so far.
    pub(crate) sent: u64,
    /// The next write is tried, whatever the runtime says.
    retries: bool,
}

impl<C> Below<C> {
    pub(crate) fn new(io: C) -> Self {
        Self {
            io,
            sent: 0,
            retries: false,
        }
    }

    /// The next write is tried, whatever the runtime says.
    pub(crate) fn retry(&mut self) {
        self.retries = true;
    }
}

impl<C: Connection> Below<C> {
    fn finish(
        &mut self,
        mut written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if mem::take(&mut self.retries) && written.is_pending() {
            written = Pin::new(&mut self.io).poll_retry_write(cx, bufs);
        }
        if let Poll::Ready(Ok(bytes)) = written {
            self.sent = self.sent.wrapping_add(bytes as u64);
        }
        written
    }
}

impl<C: Read + Unpin> Read for Below<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<C: Connection> Write for Below<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.finish(written, cx, &[IoSlice::new(buf)])
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
        self.finish(written, cx, bufs)
    }
}
