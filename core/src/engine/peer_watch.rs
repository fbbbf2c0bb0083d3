//! Watching the peer of a connection that is busy for it: whether it is still there, and takes what
//! it is sent.
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

/// How much is taken in of what the peer sends ahead, while it waits for something.
const GLANCE: usize = 2048;

/// How often the system is asked about a peer that waits for something, while its bytes wait
/// unread.
const PROBE: Duration = Duration::from_secs(1);

impl<C: Connection> Accepted<C> {
    /// Looks whether a peer that waits for something is still there. Hyper would read ahead for
    /// that, into a buffer of 8 KiB per request, and is told not to.
    ///
    /// What is read here is put back. What somebody else is reading is not touched; they find its
    /// end. Where bytes wait that nobody reads, the system is asked about the peer, once in
    /// [`PROBE`].
    #[cold]
    pub(super) fn watch_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.state.is_being_read() || self.has_unread() || self.state.is_half_closed() {
            return self.probe_peer(cx);
        }
        if self.glance(cx)? {
            return self.probe_peer(cx);
        }
        Ok(())
    }

    /// Reads a little, and puts it back. `false`: there was nothing, not even the end.
    fn glance(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut scratch = [const { MaybeUninit::uninit() }; GLANCE];
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

    /// Asks the system about the peer if it is time to, and has the connection polled again when it
    /// is time for the next question.
    fn probe_peer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let is_due = self.state.is_due();
        if is_due {
            match self.io.peer_state() {
                PeerState::Closed => {
                    return Err(peer_left(&self.state, io::ErrorKind::ConnectionReset));
                }
                // Who reads has all that will ever come.
                PeerState::HalfClosed if !self.has_unread() => self.peer_ended()?,
                // Then a read has to tell; what it brings is for somebody who may be waiting for
                // it.
                PeerState::Unknown if !self.has_unread() && self.glance(cx)? => {
                    cx.waker().wake_by_ref()
                }
                _ => {}
            }
        }
        if is_due || !self.state.is_probing() {
            self.state.set_probing(true);
            self.state.wake_at(self.state.now().checked_add(PROBE));
        }
        Ok(())
    }

    /// The peer has ended its sending half: it left, unless that's to be answered still.
    fn peer_ended(&self) -> io::Result<()> {
        if !self.state.config().answers_half_closed() {
            return Err(peer_left(&self.state, io::ErrorKind::UnexpectedEof));
        }
        self.state.set_half_closed();
        Ok(())
    }

    /// A stream that buffers may have sent something, although the latest write to it is pending.
    #[cold]
    pub(super) fn note_progress(&self) {
        if let Some(sent) = self.io.bytes_sent() {
            self.state.note_sent(sent);
        }
    }
}

/// The peer left: nothing that was written to it need be sent any more.
fn peer_left(state: &ConnState, kind: io::ErrorKind) -> io::Error {
    state.discard_unsent();
    io::Error::new(kind, "the peer left before it was answered")
}
