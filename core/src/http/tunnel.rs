//! A stream of HTTP/2 that has become a tunnel: bytes in both directions (RFC 9113 8.5, RFC 8441).
use crate::{
    runtime::SharedTimer,
    transport::{ConnInfo, Drain},
};
use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Sleep};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::{Duration, Instant},
};

/// How many bytes `poll_readable` takes from the stream.
const READ_AHEAD: usize = 256;

/// The facts of a connection and the clock of its worker. They are in the extensions of an HTTP/2
/// request that may become a tunnel.
#[derive(Clone)]
pub(super) struct TunnelFacts(pub(super) ConnInfo, pub(super) SharedTimer);

/// A tunnel. It has its own timer, and its own entry in the list of tasks that the drain wakes.
pub(super) struct Tunnel {
    pub(super) io: hyper::upgrade::Upgraded,
    pub(super) info: ConnInfo,
    /// Bytes that were read by `poll_readable`.
    read: Bytes,
    is_over: bool,
    timer: SharedTimer,
    deadline: Option<Pin<Box<dyn Sleep>>>,
    drain: Drain,
    /// The task that the drain wakes.
    drain_waker: Option<Waker>,
}

impl Tunnel {
    pub(super) fn new(io: hyper::upgrade::Upgraded, facts: TunnelFacts) -> Self {
        let TunnelFacts(info, timer) = facts;
        Self {
            io,
            drain: info.drain(),
            info,
            read: Bytes::new(),
            is_over: false,
            timer,
            deadline: None,
            drain_waker: None,
        }
    }

    /// h2 does not report readiness. It has read the bytes already, so a few of them are taken from
    /// it here, and the next read returns them.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over || !self.read.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [MaybeUninit::uninit(); READ_AHEAD];
        let mut buf = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.io).poll_read(cx, buf.unfilled()))?;
        self.read = Bytes::copy_from_slice(buf.filled());
        self.is_over = self.read.is_empty();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() && !self.is_over {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..n]);
        self.read.advance(n);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Registering takes a lock, so it is done once.
        let is_known = self
            .drain_waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()));
        if is_known && !self.drain.is_draining() {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.drain).poll(cx);
        self.drain_waker = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    pub(super) fn now(&self) -> Instant {
        self.timer.now()
    }

    pub(super) fn set_deadline(&mut self, after: Option<Duration>) {
        self.deadline = after.map(|after| self.timer.sleep(after));
    }

    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = &mut self.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.as_mut().poll(cx));
        self.deadline = None;
        Poll::Ready(())
    }
}
