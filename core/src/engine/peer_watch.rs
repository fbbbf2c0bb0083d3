//! Checks, while a request is in flight, whether the client is still connected and accepts bytes.
use super::{Accepted, ConnState};
use crate::transport::{Connection, PeerState};
use bytes::Bytes;
use hyper::rt::ReadBuf;
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// How many bytes are read at once that a client sends ahead of its response.
const READ_AHEAD: usize = 2048;

/// How often the kernel is asked about a client whose bytes wait unread.
const PROBE: Duration = Duration::from_secs(1);

impl<C: Connection> Accepted<C> {
    /// Checks whether a client that waits for a response is still connected. Hyper would read ahead
    /// for that, into a new buffer of 8 KiB for each request.
    ///
    /// Bytes that are read here are put back. If another task reads the connection, that task
    /// detects the end. While bytes wait unread, the kernel is asked about the client once per
    /// [`PROBE`].
    #[cold]
    pub(super) fn watch_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.state.is_being_read() || self.has_unread() || self.state.flags.is_half_closed() {
            return self.probe_peer(cx);
        }
        if self.read_ahead(cx)? {
            return self.probe_peer(cx);
        }
        Ok(())
    }

    /// Reads a few bytes, and puts them back. `false`: neither bytes nor the end had arrived.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut scratch = [const { MaybeUninit::uninit() }; READ_AHEAD];
        let mut buf = ReadBuf::uninit(&mut scratch);
        let Poll::Ready(readable) = Pin::new(&mut self.io).poll_readable(cx) else {
            return Ok(false);
        };
        readable?;
        let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf.unfilled()) else {
            return Ok(false);
        };
        read?;
        self.state.count_read();
        if buf.filled().is_empty() {
            self.peer_ended()?;
            return Ok(true);
        }
        self.unread(Bytes::copy_from_slice(buf.filled()));
        Ok(true)
    }

    /// Asks the kernel about the client when it is time, and has the connection polled for the next
    /// check.
    fn probe_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let is_due = self.state.flags.is_due();
        if is_due {
            match self.io.peer_state() {
                PeerState::Closed => {
                    return Err(disconnected(&self.state, io::ErrorKind::ConnectionReset));
                }
                // No more bytes will arrive, and the reading task has all that arrived.
                PeerState::HalfClosed if !self.has_unread() => self.peer_ended()?,
                // Only a read detects a disconnect. Another task may wait for the bytes that were
                // read.
                PeerState::Unknown if !self.has_unread() && self.read_ahead(cx)? => {
                    cx.waker().wake_by_ref()
                }
                _ => {}
            }
        }
        if is_due || !self.state.flags.is_probing() {
            self.state.flags.set_probing(true);
            self.state.wake_at(self.state.now().checked_add(PROBE));
        }
        Ok(())
    }

    /// The client has ended its sending half. Unless half-closed clients are answered, it has
    /// disconnected.
    fn peer_ended(&self) -> io::Result<()> {
        if !self.state.config().answers_half_closed() {
            return Err(disconnected(&self.state, io::ErrorKind::UnexpectedEof));
        }
        self.state.flags.set_half_closed();
        Ok(())
    }

    /// A stream that buffers may have sent bytes, although the latest write is pending.
    #[cold]
    pub(super) fn note_progress(&self) {
        if let Some(sent) = self.io.bytes_sent() {
            self.state.note_sent(sent);
        }
    }
}

/// The client disconnected, so buffered bytes need not be sent.
fn disconnected(state: &ConnState, kind: io::ErrorKind) -> io::Error {
    state.flags.discard_unsent();
    io::Error::new(kind, "the peer left before it was answered")
}
