//! A connection that waits for its first bytes, or for its next request: its stream, a place among the worker's deadlines, and nothing of hyper.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    awake::{Asleep, Awake, LAST_CALL},
    detect::{self, Detect, First, Version},
};
use crate::{
    App, Connection,
    engine::{Accepted, ConnState, Stage},
    observe::TimedOut,
};
use hyper::rt::Write;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

/// A connection that waits for its peer.
pub(super) struct Dormant<C: Connection, A: App, R> {
    io: Accepted<C>,
    /// Since when.
    since: Instant,
    next: Next<A, R>,
}

/// What it waits for.
enum Next<A: App, R> {
    /// Its first request, and what's to be known from it: the version.
    First { http: Http<A, R>, detect: Detect },
    /// Another one.
    Another { service: ConnService<A::Service> },
}

/// What became of the wait.
pub(super) enum Woken {
    /// The peer has begun to speak.
    Speaks(Version),
    /// The connection is to end, in order.
    Ends,
    /// The peer has said nothing for too long, and is told that it's over.
    LetGo,
    /// It's over.
    Over,
}

impl<C, A, R> Dormant<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    pub(super) fn new(http: Http<A, R>, io: Accepted<C>, since: Instant) -> Self {
        Self {
            io,
            since,
            next: Next::First {
                http,
                detect: Detect::default(),
            },
        }
    }

    pub(super) fn asleep(asleep: Asleep<C, A::Service>) -> Self {
        Self {
            io: asleep.io,
            since: asleep.since,
            next: Next::Another {
                service: asleep.service,
            },
        }
    }

    pub(super) fn poll(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<Woken> {
        let options = &state.worker.shared.config.http;
        let read = match &mut self.next {
            Next::First { detect, .. } => detect.poll(&mut self.io, options, cx),
            Next::Another { .. } => detect::poll_http1(&mut self.io, cx),
        };
        match read {
            Poll::Ready(Ok(First::Speaks(version))) => Poll::Ready(Woken::Speaks(version)),
            Poll::Ready(Ok(First::Unnegotiated)) => {
                // As far as the peer listens.
                let _ = Pin::new(&mut self.io).poll_write(cx, detect::NO_ALPN);
                Poll::Ready(Woken::LetGo)
            }
            // TLS ends by a word in either direction (RFC 8446 6.1).
            Poll::Ready(Ok(First::Nothing)) if self.io.info().tls().is_some() => Poll::Ready(Woken::LetGo),
            Poll::Ready(_) => Poll::Ready(Woken::Over),
            Poll::Pending => self.poll_deadline(state),
        }
    }

    fn poll_deadline(&mut self, state: &ConnState) -> Poll<Woken> {
        loop {
            let due = state.take_due();
            let stage = state.stage();
            let timeouts = &state.worker.shared.config.timeouts;
            let (at, woken) = match &self.next {
                Next::First { detect, .. } => {
                    let head = self.since.checked_add(timeouts.head);
                    // In a drain, a connection that has never spoken may be silent for as long as the lame duck stage lasts, since it was accepted.
                    let quiet = (stage >= Stage::Closing && !detect.begun())
                        .then(|| state.accepted_at.checked_add(state.worker.lame_duck()))
                        .flatten();
                    let owed = detect.begun().then_some(self.since);
                    let owed = owed.and_then(|since| state.worker.drain_deadline(since));
                    match (head, quiet.or(owed)) {
                        (head, Some(end)) if head.is_none_or(|head| end < head) => (Some(end), None),
                        (head, _) => (head, Some(TimedOut::Head)),
                    }
                }
                Next::Another { .. } if stage >= Stage::Closing => return Poll::Ready(Woken::Ends),
                Next::Another { .. } if state.is_old() => (self.since.checked_add(LAST_CALL), None),
                Next::Another { .. } => {
                    let idle = self.since.checked_add(timeouts.keep_alive);
                    match state.accepted_at.checked_add(timeouts.age) {
                        Some(old) if idle.is_none_or(|idle| old < idle) => (Some(old), Some(TimedOut::Age)),
                        _ => (idle, Some(TimedOut::KeepAlive)),
                    }
                }
            };
            // The clock is asked only if it may be time.
            let mut at = at;
            let mut is_over = false;
            if due || stage != Stage::Serving {
                let now = state.worker.now();
                // The others may have begun long before the drain that set them.
                if woken.is_some() {
                    at = at.map(|at| state.worker.catch_up(at, now));
                }
                is_over = at.is_some_and(|at| at <= now);
            }
            if !is_over {
                state.wake_at(at);
                return Poll::Pending;
            }
            if let Next::First { detect, .. } = &self.next
                && woken.is_none()
                && detect.begun()
            {
                state.set_stalled();
            }
            if let Some(what) = woken {
                state.timed_out(what);
            }
            match (&self.next, woken) {
                (Next::First { .. }, _) => return Poll::Ready(Woken::LetGo),
                // A request that's on its way already is answered, and told.
                (Next::Another { .. }, Some(TimedOut::Age)) => {
                    state.leave();
                    self.since = state.worker.now();
                }
                (Next::Another { .. }, _) => return Poll::Ready(Woken::Ends),
            }
        }
    }

    /// Ends the stream as its protocol asks for, TLS by a word of its own. A peer that doesn't even let that through isn't waited for.
    pub(super) fn let_go(mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(&mut self.io).poll_shutdown(cx);
    }

    /// Hands the connection to hyper. The first head is owed since the connection began, any other since its first byte.
    pub(super) fn wake(self, version: Version, state: &Arc<ConnState>) -> Awake<C, A, R> {
        match self.next {
            Next::First { http, .. } => Awake::first(version, self.io, http, state, self.since),
            Next::Another { service } => Awake::again(self.io, service, state, self.since),
        }
    }
}
