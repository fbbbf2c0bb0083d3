//! What a stream must do to be used from other threads.
use crate::transport::{PeerState, Permit};
use hyper::rt::{Read, Write};
use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

/// A stream of a thread-per-core runtime, which need not be `Send`: the inner stream of a
/// [`ThreadBoundStream`](crate::transport::ThreadBoundStream).
///
/// A transport's [`Connection`](crate::Connection) forwards its methods to these, which have the
/// same contract and defaults.
pub trait LocalStream: Read + Write + Unpin + 'static {
    /// As [`Connection::poll_readable`](crate::Connection::poll_readable).
    ///
    /// # Errors
    ///
    /// As with a read, an error ends the connection.
    fn poll_readable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// As [`Connection::peer_state`](crate::Connection::peer_state).
    fn peer_state(&mut self) -> PeerState {
        PeerState::Unknown
    }

    /// As [`Connection::poll_retry_write`](crate::Connection::poll_retry_write).
    ///
    /// # Errors
    ///
    /// As with a write, an error ends the connection.
    fn poll_retry_write(
        &mut self,
        _cx: &mut Context<'_>,
        _bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    /// As [`Connection::reset`](crate::Connection::reset).
    fn reset(&mut self) {}

    /// As [`Connection::release`](crate::Connection::release). Always called on the stream's own
    /// thread.
    fn release(&mut self, permit: Permit) {
        drop(permit);
    }
}
