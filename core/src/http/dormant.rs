//! A connection that waits for its first bytes, or for its next request: its stream, a place among the worker's deadlines, and nothing of hyper.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    awake::{Asleep, Awake, LAST_CALL},
    detect::{self, Detect, First, Version},
};
use crate::{
    app::App,
    engine::{Accepted, ConnState, Stage},
    observe::TimedOut,
    transport::Connection,
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
    /// Nothing: it takes its leave, and has this left to say.
    End { answer: &'static [u8] },
}

/// What became of the wait.
pub(super) enum Woken {
    /// The peer has begun to speak.
    Speaks(Version),
    /// The connection is to end, in order.
    Ends,
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
        let options = state.http_options();
        let first = match &mut self.next {
            Next::First { detect, .. } => detect.poll(&mut self.io, options, cx),
            Next::Another { .. } => detect::poll_http1(&mut self.io, cx),
            Next::End { .. } => return self.poll_end(state, cx),
        };
        let answer = match first {
            Poll::Ready(Ok(First::Speaks(version))) => return Poll::Ready(Woken::Speaks(version)),
            Poll::Ready(Ok(First::Unnegotiated)) => detect::no_alpn(options),
            // TLS ends by a word in either direction (RFC 8446 6.1).
            Poll::Ready(Ok(First::Nothing)) if self.io.info().tls().is_some() => &[],
            Poll::Ready(_) => return Poll::Ready(Woken::Over),
            Poll::Pending => return self.poll_deadline(state),
        };
        (self.next, self.since) = (Next::End { answer }, state.now());
        self.poll_end(state, cx)
    }

    /// Says what's left to be said and ends the stream, as far as the peer listens, and for as long as a head may take.
    fn poll_end(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<Woken> {
        let mut io = Pin::new(&mut self.io);
        if let Next::End { answer } = &mut self.next {
            while !answer.is_empty() {
                match io.as_mut().poll_write(cx, answer) {
                    Poll::Ready(Ok(n)) if n > 0 => *answer = &answer[n..],
                    Poll::Ready(_) => return Poll::Ready(Woken::Over),
                    Poll::Pending => return self.poll_deadline(state),
                }
            }
        }
        match io.as_mut().poll_flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(Woken::Over),
            Poll::Pending => return self.poll_deadline(state),
        }
        match io.poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(Woken::Over),
            Poll::Pending => self.poll_deadline(state),
        }
    }

    fn poll_deadline(&mut self, state: &ConnState) -> Poll<Woken> {
        loop {
            let due = state.take_due();
            let stage = state.stage();
            let timeouts = state.timeouts();
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
                Next::End { .. } => (self.since.checked_add(timeouts.head), Some(TimedOut::Head)),
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
                let now = state.now();
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
                (Next::First { .. } | Next::End { .. }, _) => {
                    state.say_goodbye();
                    return Poll::Ready(Woken::Over);
                }
                // A request that's on its way already is answered, and told.
                (Next::Another { .. }, Some(TimedOut::Age)) => {
                    state.leave();
                    self.since = state.now();
                }
                (Next::Another { .. }, _) => return Poll::Ready(Woken::Ends),
            }
        }
    }

    /// Hands the connection to hyper. The first head is owed since the connection began, any other since its first byte.
    /// None: it has taken its leave.
    pub(super) fn wake(self, version: Version, state: &Arc<ConnState>) -> Option<Awake<C, A, R>> {
        Some(match self.next {
            Next::First { http, .. } => Awake::first(version, self.io, http, state, self.since),
            Next::Another { service } => Awake::again(self.io, service, state, self.since),
            Next::End { .. } => return None,
        })
    }
}
