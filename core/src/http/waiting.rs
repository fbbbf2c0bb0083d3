//! A connection that waits for its first bytes, or hibernates until its next request. It consists
//! of an I/O object and an entry in the worker's timer queue, and holds no state of hyper.
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
    /// When the wait began.
    since: Instant,
    next: Next<A, R>,
}

/// The event that the connection waits for.
enum Next<A: App, R> {
    /// The first request, whose first bytes decide the version.
    First { http: Http<A, R>, detect: Detect },
    /// The next request.
    Another { service: ConnService<A::Service> },
    /// Nothing: these last bytes are sent, and then the stream ends.
    End { answer: &'static [u8] },
}

/// How a wait ends.
pub(super) enum WaitEnd {
    /// A request has begun to arrive.
    Serve(Version),
    /// Hyper's graceful shutdown must be requested.
    ShutDown,
    /// The connection is closed.
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
            // Both sides end TLS with a close_notify alert (RFC 8446 6.1).
            Poll::Ready(Ok(First::Nothing)) if self.io.info().tls().is_some() => &[],
            Poll::Ready(_) => return Poll::Ready(WaitEnd::Closed),
            Poll::Pending => return self.poll_deadline(state),
        };
        (self.next, self.since) = (Next::End { answer }, state.now());
        self.poll_end(state, cx)
    }

    /// Sends the last bytes and ends the stream. The head timeout limits how long that takes.
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

    /// The state machine, made anew each time, so that a waiting connection keeps no more than a
    /// time.
    fn machine(&self, state: &ConnState) -> Machine {
        let since = self.since;
        let waits = match &self.next {
            Next::First { detect, .. } => State::First {
                since,
                begun: detect.begun(),
            },
            Next::Another { .. } => {
                return Machine::hibernating(since, state.flags.has_reached_age());
            }
            Next::End { .. } => State::Closing { since },
        };
        Machine::new(waits, since)
    }

    fn poll_deadline(&mut self, state: &ConnState) -> Poll<WaitEnd> {
        // The clock is read only if a deadline may have passed.
        if !state.flags.take_due() && state.stage() == Stage::Serving {
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
                    state.flags.mark_reached_age();
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
                // These actions need hyper, which does not exist now.
                Action::PollAgain | Action::Hibernate | Action::Probe | Action::Abort => {
                    return Poll::Ready(WaitEnd::Closed);
                }
            }
        }
    }

    /// Hands the connection to hyper. The head timeout of the first request runs from the start of
    /// the connection. That of any other request runs from its first byte. `None`: the connection
    /// is closing.
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
