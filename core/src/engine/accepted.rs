//! The I/O object of an accepted connection: counted and abortable wherever it goes.
use super::{ConnState, Stage, linger::Linger};
use crate::{
    runtime::Registered,
    transport::{Admission, Close, ConnInfo, Connected, Connection, Moment, Number, Permit},
};
use bytes::{Buf, Bytes};
use hyper::rt::ReadBufCursor;
use std::{fmt, mem, pin::Pin, sync::Arc, task::Poll};

/// A connection that the server accepted: the transport's stream, counted until it is dropped.
///
/// A raw handler gets it, and `hyper::upgrade` returns it after an upgrade
/// (`upgraded.downcast::<Accepted<_>>()`). Wherever it is moved, it counts against the connection
/// limit. At the end of a drain's grace period, its reads and writes fail with
/// [`io::ErrorKind::ConnectionAborted`](std::io::ErrorKind::ConnectionAborted).
///
/// For code that wants tokio's I/O traits, wrap it in `hyper_util::rt::TokioIo`.
pub struct Accepted<C: Connected> {
    pub(super) io: C,
    /// Replaces the facts of `io`, if another connection has the same `ConnInfo`.
    info: Option<ConnInfo>,
    pub(super) state: Arc<ConnState>,
    /// State that most connections do not need most of the time.
    pub(super) cold: Option<Box<ColdState>>,
}

/// Every idle WebSocket has one. So state that is needed less often is in [`RareState`].
#[derive(Default)]
pub(super) struct ColdState {
    pub(super) reader: Registered,
    rare: Option<Box<RareState>>,
}

/// State that hardly any connection needs.
#[derive(Default)]
pub(super) struct RareState {
    /// Bytes that were put back. The next read returns them.
    unread: Bytes,
    pub(super) writer: Registered,
    /// The sending half has been shut down, and the close waits for the client's end.
    pub(super) linger: Option<Linger>,
}

impl ColdState {
    pub(super) fn rare(cold: &mut Option<Box<Self>>) -> &mut RareState {
        let cold = cold.get_or_insert_default();
        cold.rare.get_or_insert_default()
    }
}

impl<C: Connected> Accepted<C> {
    pub(super) fn new(io: C, state: Arc<ConnState>) -> Self {
        state.flags.set_external_pollers();
        let admission = Admission {
            drain: Some(Arc::clone(&state.worker.shared.drain_begins)),
            number: Number::new(state.id, state.worker.worker.index),
            at: Moment::of(state.accepted_at),
        };
        let info = io.conn_info().admit(admission);
        Self {
            io,
            info,
            state,
            cold: None,
        }
    }

    #[cfg(any(feature = "http1", feature = "http2"))]
    pub(crate) fn state(&self) -> &ConnState {
        &self.state
    }

    /// The facts about the connection.
    pub fn conn_info(&self) -> &ConnInfo {
        self.info.as_ref().unwrap_or_else(|| self.io.conn_info())
    }

    /// The transport's own stream. Returned by reference: taking it out would bypass connection
    /// counting.
    pub fn io(&self) -> &C {
        &self.io
    }

    /// Like [`io`](Self::io), but mutable, to drive a connection that is not a byte stream. Bytes
    /// that are read or written this way are not counted, so use [`Accepted`] itself for a byte
    /// stream.
    pub fn io_mut(&mut self) -> &mut C {
        &mut self.io
    }

    /// Whether the server is draining: the client should be asked to reconnect elsewhere, if the
    /// protocol has a message for that.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.state.stage() != Stage::Serving
    }

    /// Ready once the server drains. A raw handler selects between this and its client. Use one at
    /// a time: of several, only the one that was polled last is woken.
    ///
    /// ```
    /// # use anyport_core::{Connection, protocol::Accepted};
    /// # async fn f<C: Connection>(connection: Accepted<C>, exchange: impl Future<Output = ()>) {
    /// let drain = connection.drain();
    /// tokio::select! {
    ///     () = exchange => {}
    ///     () = drain => { /* send a last message */ }
    /// }
    /// # }
    /// ```
    pub fn drain(&self) -> impl Future<Output = ()> + Send + 'static {
        // Weak, so that waiting for the drain does not keep the connection open.
        let state = Arc::downgrade(&self.state);
        let mut registered = Registered::default();
        std::future::poll_fn(move |cx| {
            let Some(state) = state.upgrade() else {
                return Poll::Pending;
            };
            let _ = registered.refresh(cx, &state.external_wakers().drain);
            match state.stage() {
                Stage::Serving => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
    }
}

impl<C: Connection> Accepted<C> {
    /// Puts bytes back. The next read returns them first.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let unread = &mut ColdState::rare(&mut self.cold).unread;
        *unread = match unread.is_empty() {
            true => bytes,
            false => [bytes, mem::take(unread)].concat().into(),
        };
    }

    /// Reads bytes that were put back, if there are any.
    pub(super) fn read_again(&mut self, buf: &mut ReadBufCursor<'_>) -> bool {
        let Some(cold) = &mut self.cold else {
            return false;
        };
        let Some(rare) = cold.rare.as_mut().filter(|rare| !rare.unread.is_empty()) else {
            return false;
        };
        let n = rare.unread.len().min(buf.remaining());
        buf.put_slice(&rare.unread[..n]);
        rare.unread.advance(n);
        if rare.unread.is_empty() {
            rare.unread = Bytes::new();
            if !self.state.flags.has_external_pollers() {
                self.cold = None;
            } else if rare.linger.is_none() {
                // A waiting writer registers again at its next poll.
                cold.rare = None;
            }
        }
        true
    }

    /// Makes the close wait for the client's end, because the client may still be sending.
    #[cfg(feature = "http1")]
    pub(crate) fn linger_at_close(&self) {
        self.state.flags.linger_at_close();
    }

    pub(super) fn has_unread(&self) -> bool {
        let rare = self.cold.as_ref().and_then(|cold| cold.rare.as_ref());
        rare.is_some_and(|rare| !rare.unread.is_empty())
    }
}

impl<C: Connected> Drop for Accepted<C> {
    fn drop(&mut self) {
        let how = if self.state.flags.is_to_be_reset() {
            self.state.flags.discard_unsent();
            Close::Reset
        } else if self.state.flags.closes_gracefully() {
            Close::Graceful
        } else {
            Close::Silent
        };
        let permit = Permit::new(self.state.clone());
        Pin::new(&mut self.io).close(how, permit);
    }
}

impl<C: Connected> fmt::Debug for Accepted<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Accepted").field(self.conn_info()).finish()
    }
}
