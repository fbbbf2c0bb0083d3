//! One connection.
use crate::stream::{Socket, Stream};
use anyport_core::{ConnInfo, Connection, PeerState, Permit, ThreadBound, delegate_io, socket};
use monoio::{io::AsyncWriteRent, net::TcpStream};
use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::{AsRawFd, BorrowedFd, RawFd},
    pin::Pin,
    task::{Context, Poll},
};

/// One connection, over TCP or a Unix socket. It stays on its worker: on another thread, its reads and writes fail.
pub struct MonoioConnection<S: AsyncWriteRent + 'static = TcpStream> {
    io: ThreadBound<Stream<S>>,
    info: ConnInfo,
    descriptor: RawFd,
}

impl<S: AsyncWriteRent> MonoioConnection<S> {
    pub(crate) fn new(stream: S, info: ConnInfo) -> Self
    where
        S: Socket,
    {
        Self {
            descriptor: stream.as_raw_fd(),
            io: ThreadBound::new(Stream::new(stream)),
            info,
        }
    }
}

impl<S: Socket> Connection for MonoioConnection<S> {
    fn info(&self) -> &ConnInfo {
        &self.info
    }

    fn poll_readable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.with(|stream| stream.poll_readable(cx))?.map(Ok)
    }

    fn peer_state(&mut self) -> PeerState {
        let descriptor = self.descriptor;
        let asked = self.io.with(|_| {
            // SAFETY: `with` lends the stream, which owns this descriptor and keeps it open, for as long as this closure runs.
            socket::peer_state(unsafe { BorrowedFd::borrow_raw(descriptor) })
        });
        asked.unwrap_or_default()
    }

    fn poll_retry_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.with(|stream| stream.poll_retry_write(bufs))?
    }

    fn reset(&mut self) {
        let descriptor = self.descriptor;
        // On another thread, there's nothing that it could be asked of.
        let _ = self.io.with(|_| {
            // SAFETY: `with` lends the stream, which owns this descriptor and keeps it open, for as long as this closure runs.
            socket::reset_at_close(unsafe { BorrowedFd::borrow_raw(descriptor) });
        });
    }

    fn release(mut self: Pin<&mut Self>, permit: Permit) {
        // On another thread, there's nothing that it could be kept with.
        let _ = self.io.with(|stream| stream.release(permit));
    }
}

delegate_io!(impl<S: [Socket]> for MonoioConnection<S> => io);

/// For a question or an option that has no method here; it's open for as long as the connection is.
impl<S: AsyncWriteRent> AsRawFd for MonoioConnection<S> {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor
    }
}

impl<S: AsyncWriteRent> fmt::Debug for MonoioConnection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonoioConnection")
            .field("info", &self.info)
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}
