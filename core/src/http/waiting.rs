//! A connection that waits for its first bytes, or for its next request: its stream, a place among
//! the worker's deadlines, and nothing of hyper.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    active::{Active, Hibernated},
    detect::{self, Detect, First, Version},
    state_machine::{Action, Machine, Rules, Seen, State},
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
pub(super) struct Waiting<C: Connection, A: App, R> {
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
pub(super) enum WaitEnd {
    /// The peer has begun to speak.
    Serve(Version),
    /// The connection is to end, in order.
    ShutDown,
    /// It's over.
    Closed,
}

impl<C, A, R> Waiting<C, A, R>
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

    pub(super) fn hibernating(hibernated: Hibernated<C, A::Service>) -> Self {
        Self {
            io: hibernated.io,
            since: hibernated.since,
            next: Next::Another {
                service: hibernated.service,
            },
        }
    }

    pub(super) fn poll(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<WaitEnd> {
        let options = &state.config().http;
        let first = match &mut self.next {
            Next::First { detect, .. } => detect.poll(&mut self.io, options, cx),
            Next::Another { .. } => detect::poll_http1(&mut self.io, cx),
            Next::End { .. } => return self.poll_end(state, cx),
        };
        let answer = match first {
            Poll::Ready(Ok(First::Request(version))) => {
                return Poll::Ready(WaitEnd::Serve(version));
            }
            Poll::Ready(Ok(First::Unnegotiated)) => detect::no_alpn(options),
            // TLS ends by a word in either direction (RFC 8446 6.1).
            Poll::Ready(Ok(First::Nothing)) if self.io.info().tls().is_some() => &[],
            Poll::Ready(_) => return Poll::Ready(WaitEnd::Closed),
            Poll::Pending => return self.poll_deadline(state),
        };
        (self.next, self.since) = (Next::End { answer }, state.now());
        self.poll_end(state, cx)
    }

    /// Says what's left to be said and ends the stream, as far as the peer listens, and for as long
    /// as a head may take.
    fn poll_end(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<WaitEnd> {
        let mut io = Pin::new(&mut self.io);
        if let Next::End { answer } = &mut self.next {
            while !answer.is_empty() {
                match io.as_mut().poll_write(cx, answer) {
                    Poll::Ready(Ok(n)) if n > 0 => *answer = &answer[n..],
                    Poll::Ready(_) => return Poll::Ready(WaitEnd::Closed),
                    Poll::Pending => return self.poll_deadline(state),
                }
            }
        }
        match io.as_mut().poll_flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => return Poll::Ready(WaitEnd::Closed),
            Poll::Pending => return self.poll_deadline(state),
        }
        match io.poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(WaitEnd::Closed),
            Poll::Pending => self.poll_deadline(state),
        }
    }

    /// Where it stands. It's made anew each time, so that a connection that waits keeps no more
    /// than the time.
    fn machine(&self, state: &ConnState) -> Machine {
        let since = self.since;
        let waits = match &self.next {
            Next::First { detect, .. } => State::First {
                since,
                begun: detect.begun(),
            },
            Next::Another { .. } => return Machine::hibernating(since, state.is_old()),
            Next::End { .. } => State::Closing { since },
        };
        Machine::new(waits, since)
    }

    fn poll_deadline(&mut self, state: &ConnState) -> Poll<WaitEnd> {
        // The clock is asked only if it may be time.
        if !state.take_due() && state.stage() == Stage::Serving {
            state.wake_at(self.machine(state).deadline(&Rules::of(state)));
            return Poll::Pending;
        }
        let now = state.now();
        loop {
            let mut machine = self.machine(state);
            let late = |at| state.worker.catch_up(at, now);
            match machine.next(&Seen::nothing(), &Rules::of(state), late, now) {
                Action::Wait(until) => {
                    state.wake_at(until);
                    return Poll::Pending;
                }
                Action::ReachAge { .. } => {
                    state.timed_out(TimedOut::Age);
                    state.mark_old();
                    self.since = now;
                }
                Action::ShutDown(why) => {
                    if let Some(why) = why {
                        state.timed_out(why);
                    }
                    return Poll::Ready(WaitEnd::ShutDown);
                }
                Action::Close { why, stalled } => {
                    state.end(why, stalled);
                    return Poll::Ready(WaitEnd::Closed);
                }
                // It's all hyper's, which isn't there.
                Action::PollAgain | Action::Hibernate | Action::Probe | Action::Abort => {
                    return Poll::Ready(WaitEnd::Closed);
                }
            }
        }
    }

    /// Hands the connection to hyper. The first head is owed since the connection began, any other
    /// since its first byte. None: it has taken its leave.
    pub(super) fn activate(
        self,
        version: Version,
        state: &Arc<ConnState>,
    ) -> Option<Active<C, A, R>> {
        Some(match self.next {
            Next::First { http, .. } => Active::first(version, self.io, http, state, self.since),
            Next::Another { service } => Active::resume(self.io, service, state, self.since),
            Next::End { .. } => return None,
        })
    }
}
