//! The remote end of a relayed stream.
use super::{
    super::Permit,
    relay::{Link, Relay},
};
use crate::runtime::Registered;
use hyper::rt::ReadBufCursor;
use piper::{Reader, Writer};
use std::{
    io::{self, IoSlice},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

/// The maximum number of bytes in flight between two threads, in each direction. It exceeds a TLS
/// record, so that one write and one read pass a whole record.
const CAPACITY: usize = 32 * 1024;

/// The end of a relay on a thread other than the stream's.
pub(super) struct Remote {
    incoming: Reader,
    /// `None` after a shutdown.
    outgoing: Option<Writer>,
    link: Arc<Link>,
    registered: Registered,
}

impl Remote {
    /// Makes both ends.
    pub(super) fn new() -> (Self, Relay) {
        let (incoming, to_remote) = piper::pipe(CAPACITY);
        let (from_remote, outgoing) = piper::pipe(CAPACITY);
        let link = Arc::<Link>::default();
        let remote = Self {
            incoming,
            outgoing: Some(outgoing),
            link: Arc::clone(&link),
            registered: Registered::default(),
        };
        (remote, Relay::new(to_remote, from_remote, link))
    }

    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.incoming.poll(cx).map(|_| Ok(()))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !ready!(self.incoming.poll(cx)) {
            return Poll::Ready(self.link.end_of_reading());
        }
        // In two parts, if the bytes wrap around the end of the ring buffer.
        for _ in 0..2 {
            let piece = self.incoming.peek_buf();
            let n = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..n]);
            self.incoming.consume(n);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if !ready!(outgoing.poll(cx)) {
            return Poll::Ready(Err(self.link.error_of_writing()));
        }
        let mut total = 0;
        for buf in bufs {
            let n = outgoing.try_fill(buf);
            total += n;
            if n < buf.len() {
                break;
            }
        }
        match total {
            // The pipe was closed in between.
            0 => Poll::Ready(Err(self.link.error_of_writing())),
            _ => Poll::Ready(Ok(total)),
        }
    }

    /// Ready at once: the relay sends and flushes written bytes by itself. Waiting for that would
    /// wake this thread once more per message.
    pub(super) fn poll_flush(&self) -> Poll<io::Result<()>> {
        match &self.outgoing {
            Some(outgoing) if outgoing.is_closed() => {
                Poll::Ready(Err(self.link.error_of_writing()))
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Ready when all bytes have been sent and the stream is shut down.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_some() {
            // Set before the pipe ends, because the relay checks the flag then.
            self.link.is_to_be_shut_down.store(true, Ordering::Release);
            self.outgoing = None;
        }
        let _ = self.registered.refresh(cx, &self.link.remote);
        self.link.poll_shut_down()
    }

    pub(super) fn reset(&mut self) {
        self.link.is_to_be_reset.store(true, Ordering::Release);
    }

    /// The relay releases the stream with this permit.
    pub(super) fn release(&mut self, permit: Permit) {
        self.link.hold(permit);
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.link.set_dropped();
    }
}
