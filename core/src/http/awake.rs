//! A connection that speaks HTTP: hyper's, under deadlines and the server's drain, until it's over
//! or falls asleep.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    after_poll::{self, Behind},
    detect::Version,
    offer,
    speaks::{Parts, Speaks},
    state_machine::{Action, Counts, Machine, Rules, Seen},
};
use crate::{
    app::App,
    engine::{Accepted, ConnState, turn::Turn},
    observe::TimedOut,
    transport::Connection,
};
use std::{
    fmt,
    ops::ControlFlow,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

/// A connection that hyper serves.
pub(super) struct Awake<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    turn: Turn,
    machine: Machine,
    alarm: Alarm,
    /// What it does behind a response.
    behind: Option<Behind>,
    speaks: Speaks<C, A::Service, R>,
}

/// An idle HTTP/1 connection, taken from hyper.
pub(super) struct Asleep<C: Connection, S> {
    pub(super) io: Accepted<C>,
    pub(super) service: ConnService<S>,
    /// Since when it has been idle.
    pub(super) since: Instant,
}

/// What a connection that's awake is polled to: pending, over, or asleep.
type Polled<C, S> = Poll<Option<Asleep<C, S>>>;

/// When it's woken. What moves its deadlines away needs no clock: it's woken at the old one, and
/// looks.
#[derive(Clone, Copy)]
enum Alarm {
    /// It has to be asked what's due.
    Unset,
    /// No later than at the earliest of its deadlines, if there's one.
    Set(Option<Instant>),
}

impl<C, A, R> Awake<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// A connection that has begun to speak, and owes a head since then.
    pub(super) fn first(
        version: Version,
        io: Accepted<C>,
        http: Http<A, R>,
        state: &Arc<ConnState>,
        since: Instant,
    ) -> Self {
        let Http {
            app,
            service,
            runtime,
        } = http;
        let info = io.info();
        let service = app.connect(service, info);
        let service = ConnService::new(service, info.clone(), state.clone(), version);
        let machine = Machine::first(version, since, state.now());
        let speaks = match version {
            Version::Http1 => Speaks::http1(io, service, state),
            Version::Http2 => Speaks::http2(io, service, state, runtime),
        };
        Self::new(machine, speaks)
    }

    /// A connection that was asleep and speaks again. It had been idle since then.
    pub(super) fn again(
        io: Accepted<C>,
        service: ConnService<A::Service>,
        state: &ConnState,
        idle_since: Instant,
    ) -> Self {
        let hibernate_after = state.config().http.hibernate_after;
        let machine = Machine::woken(idle_since, state.is_old(), hibernate_after, state.now());
        Self::new(machine, Speaks::http1(io, service, state))
    }

    fn new(machine: Machine, speaks: Speaks<C, A::Service, R>) -> Self {
        Self {
            turn: Turn::default(),
            machine,
            alarm: Alarm::Unset,
            behind: None,
            speaks,
        }
    }

    pub(super) fn poll(
        &mut self,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> Polled<C, A::Service> {
        loop {
            let (requests, is_busy) = (
                self.turn.begun,
                self.turn.is_open() || state.is_being_read(),
            );
            if self.advance(state, cx).is_ready() {
                return Poll::Ready(None);
            }
            // Only then has hyper had a turn after the latest request, in which it ends a
            // connection whose request it can't read to its end.
            let was_idle = !is_busy && requests == self.turn.begun;
            if matches!(self.alarm, Alarm::Set(_))
                && !state.is_due()
                && !self
                    .machine
                    .has_to_end(self.speaks.version(), state.stage())
                && self.needs_no_clock(state)
            {
                return Poll::Pending;
            }
            if let ControlFlow::Break(polled) = self.look_at_clock(was_idle, state, cx) {
                return polled;
            }
        }
    }

    /// Whether nothing happened for which the clock is needed: a request is being answered and the
    /// peer takes what it's sent, or all that was asked has been answered already, as before.
    #[inline(always)]
    fn needs_no_clock(&mut self, state: &ConnState) -> bool {
        if state.is_blocked() {
            return false;
        }
        if self.turn.is_open() || state.has_parts() {
            self.machine.answers();
            return true;
        }
        let stale = self.machine.may_get_stale(self.turn.begun) && !state.is_being_read();
        if stale {
            self.machine.get_stale(self.counts(state));
        }
        stale
    }

    fn counts(&self, state: &ConnState) -> Counts {
        Counts {
            requests: self.turn.begun,
            reads: state.reads(),
            answers: state.large_writes(),
        }
    }

    /// Does what's due, and says what came of it, or that hyper is to go on. A busy connection
    /// hardly ever looks, so it's kept out of its way.
    #[inline(never)]
    fn look_at_clock(
        &mut self,
        was_idle: bool,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        if state.take_due() {
            self.alarm = Alarm::Unset;
        }
        // Its own deadline is the only one then.
        if state.is_lingering() {
            return ControlFlow::Break(Poll::Pending);
        }
        let now = state.now();
        let seen = Seen {
            version: self.speaks.version(),
            counts: self.counts(state),
            is_answering: self.turn.is_open() || state.has_parts(),
            is_uploading: state.is_being_read(),
            blocked_at: state.blocked_at(),
            was_idle,
            was_offered_an_upgrade: self.speaks.was_offered_an_upgrade(),
        };
        let late = |at| state.worker.catch_up(at, now);
        match self.machine.next(&seen, &Rules::of(state), late, now) {
            Action::Wait(until) => {
                self.wake_at(until, state);
                return ControlFlow::Break(Poll::Pending);
            }
            Action::PollAgain => {}
            Action::Hibernate => return self.fall_asleep(now, state, cx),
            Action::Probe => match self.detach(state, cx) {
                Poll::Ready(Some(parts)) => self.attach(parts, state),
                Poll::Ready(None) => return ControlFlow::Break(Poll::Ready(None)),
                Poll::Pending => {}
            },
            Action::ShutDown(why) => {
                if let Some(why) = why {
                    state.timed_out(why);
                }
                self.speaks.tell();
            }
            Action::ReachAge { tell } => {
                state.timed_out(TimedOut::Age);
                state.leave();
                if tell {
                    self.speaks.tell();
                }
            }
            Action::Close { why, stalled } => {
                state.end(why, stalled);
                return ControlFlow::Break(Poll::Ready(None));
            }
            Action::Abort => {
                state.timed_out(TimedOut::WriteStall);
                state.forfeit();
                return ControlFlow::Break(Poll::Ready(None));
            }
        }
        ControlFlow::Continue(())
    }

    /// Gives up all that hyper has for an idle connection; one in the middle of a head goes on, and
    /// owes it since it has been quiet.
    fn fall_asleep(
        &mut self,
        now: Instant,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        let since = self.machine.quiet_since().unwrap_or(now);
        match self.detach(state, cx) {
            Poll::Ready(Some(parts)) if parts.read.is_empty() => {
                let Parts { io, service, .. } = parts;
                // Whatever it had left of a body has been read.
                state.linger_no_more();
                let asleep = Asleep { io, service, since };
                ControlFlow::Break(Poll::Ready(Some(asleep)))
            }
            Poll::Ready(Some(parts)) => {
                self.attach(parts, state);
                ControlFlow::Continue(())
            }
            Poll::Ready(None) => ControlFlow::Break(Poll::Ready(None)),
            Poll::Pending => ControlFlow::Continue(()),
        }
    }

    /// Has the connection looked at again by then. If that's later than it will be anyway, there's
    /// nothing to be done.
    fn wake_at(&mut self, until: Option<Instant>, state: &ConnState) {
        let set = match self.alarm {
            Alarm::Set(set) => set,
            Alarm::Unset => None,
        };
        self.alarm = Alarm::Set(set);
        if until.is_some_and(|until| set.is_none_or(|set| until < set)) {
            self.alarm = Alarm::Set(until);
            state.wake_at(until);
        }
    }

    /// Has hyper go on as far as it goes; pending, or the connection is over. Inlined, since each
    /// request goes through it.
    #[inline(always)]
    fn advance(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<()> {
        let speaks = &mut self.speaks;
        let polled = self
            .turn
            .take(state.is_leaving(), || speaks.poll(state, cx));
        state.set_busy(self.turn.is_open());
        if self.turn.is_unusual() {
            self.see_to_unusual(state, cx);
        }
        polled
    }

    /// Reports what the app did wrong, and goes on with what's done behind a response.
    #[cold]
    fn see_to_unusual(&mut self, state: &ConnState, cx: &mut Context<'_>) {
        for fault in after_poll::take_faults() {
            fault.report(state);
        }
        if let Some(offer) = offer::take() {
            self.speaks.keep_offer(offer);
        }
        if let Some(behind) = after_poll::take_behind() {
            self.behind = Some(behind);
        }
        if let Some(behind) = &mut self.behind
            && behind.as_mut().poll(cx).is_ready()
        {
            self.behind = None;
            // For hyper to see that nobody reads it any more.
            cx.waker().wake_by_ref();
        }
        self.turn.set_unusual(self.behind.is_some());
    }

    /// Tells hyper to end the connection: after what it's answering, or at once if it's idle.
    pub(super) fn tell(&mut self, now: Instant) {
        self.machine.was_told(now);
        self.speaks.tell();
    }

    /// Takes an idle connection from hyper, whose buffers are freed by it. Pending: it isn't idle,
    /// and ends when it is. None: it's over.
    ///
    /// That hyper is done with a connection doesn't say that it was idle: it may have been left in
    /// the middle of a request's body, and what follows there is no request. Done with an idle one,
    /// hyper neither reads nor writes; so whatever it read or wrote is no more than ended.
    fn detach(
        &mut self,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Parts<C, A::Service>>> {
        self.tell(state.now());
        state.begin_detaching();
        let polled = self.advance(state, cx);
        let was_idle = state.end_detaching();
        if polled.is_pending() {
            return Poll::Pending;
        }
        let speaks = &mut self.speaks;
        let parts = self.turn.take(false, || speaks.take_apart());
        Poll::Ready(parts.filter(|_| was_idle && !self.turn.is_open()))
    }

    /// Gives a connection that was taken from hyper back to it.
    fn attach(&mut self, parts: Parts<C, A::Service>, state: &ConnState) {
        let Parts {
            mut io,
            service,
            read,
        } = parts;
        self.machine.given_back(!read.is_empty());
        io.unread(read);
        self.speaks = Speaks::http1(io, service, state);
    }
}

impl<C, A, R> Drop for Awake<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn drop(&mut self) {
        // What's left of requests counts for this connection, whoever's turn it is.
        let speaks = self.speaks.take();
        self.turn.take(false, move || {
            let _dropped = speaks;
        });
        if self.turn.is_unusual() {
            drop(after_poll::take_behind());
        }
    }
}

impl<C, A, R> fmt::Debug for Awake<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awake")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
