//! A connection that hyper HTTP: hyper's, under deadlines and the server's drain, until it's over
//! or falls hibernated.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    after_poll::{self, Background},
    detect::Version,
    hyper_conn::{HyperConn, Parts},
    state_machine::{Action, Counts, Machine, Rules, Seen},
    upgrade_offer,
};
use crate::{
    app::App,
    engine::{Accepted, ConnState, poll_scope::PollScope},
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
pub(super) struct Active<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    scope: PollScope,
    machine: Machine,
    alarm: Alarm,
    /// What it does behind a response.
    background: Option<Background>,
    hyper: HyperConn<C, A::Service, R>,
}

/// An idle HTTP/1 connection, taken from hyper.
pub(super) struct Hibernated<C: Connection, S> {
    pub(super) io: Accepted<C>,
    pub(super) service: ConnService<S>,
    /// Since when it has been idle.
    pub(super) since: Instant,
}

/// What a connection that's awake is polled to: pending, over, or hibernated.
type Polled<C, S> = Poll<Option<Hibernated<C, S>>>;

/// When it's woken. What moves its deadlines away needs no clock: it's woken at the old one, and
/// looks.
#[derive(Clone, Copy)]
enum Alarm {
    /// It has to be asked what's due.
    Unset,
    /// No later than at the earliest of its deadlines, if there's one.
    Set(Option<Instant>),
}

impl<C, A, R> Active<C, A, R>
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
        let hyper = match version {
            Version::Http1 => HyperConn::http1(io, service, state),
            Version::Http2 => HyperConn::http2(io, service, state, runtime),
        };
        Self::new(machine, hyper)
    }

    /// A connection that was hibernated and hyper again. It had been idle since then.
    pub(super) fn resume(
        io: Accepted<C>,
        service: ConnService<A::Service>,
        state: &ConnState,
        idle_since: Instant,
    ) -> Self {
        let hibernate_after = state.config().http.hibernate_after;
        let machine = Machine::resumed(idle_since, state.is_old(), hibernate_after, state.now());
        Self::new(machine, HyperConn::http1(io, service, state))
    }

    fn new(machine: Machine, hyper: HyperConn<C, A::Service, R>) -> Self {
        Self {
            scope: PollScope::default(),
            machine,
            alarm: Alarm::Unset,
            background: None,
            hyper,
        }
    }

    pub(super) fn poll(
        &mut self,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> Polled<C, A::Service> {
        loop {
            let (requests, is_busy) = (
                self.scope.exchanges,
                self.scope.is_open() || state.is_being_read(),
            );
            if self.poll_hyper(state, cx).is_ready() {
                return Poll::Ready(None);
            }
            // Only then has hyper had a scope after the latest request, in which it ends a
            // connection whose request it can't read to its end.
            let was_idle = !is_busy && requests == self.scope.exchanges;
            if matches!(self.alarm, Alarm::Set(_))
                && !state.is_due()
                && !self.machine.has_to_end(self.hyper.version(), state.stage())
                && self.can_skip_clock(state)
            {
                return Poll::Pending;
            }
            if let ControlFlow::Break(polled) = self.check_deadlines(was_idle, state, cx) {
                return polled;
            }
        }
    }

    /// Whether nothing happened for which the clock is needed: a request is being answered and the
    /// peer takes what it's sent, or all that was asked has been answered already, as before.
    #[inline(always)]
    fn can_skip_clock(&mut self, state: &ConnState) -> bool {
        if state.is_blocked() {
            return false;
        }
        if self.scope.is_open() || state.has_subtasks() {
            self.machine.is_responding();
            return true;
        }
        let stale = self.machine.may_become_stale(self.scope.exchanges) && !state.is_being_read();
        if stale {
            self.machine.mark_stale(self.counts(state));
        }
        stale
    }

    fn counts(&self, state: &ConnState) -> Counts {
        Counts {
            requests: self.scope.exchanges,
            reads: state.reads(),
            responses: state.large_writes(),
        }
    }

    /// Does what's due, and says what came of it, or that hyper is to go on. A busy connection
    /// hardly ever looks, so it's kept out of its way.
    #[inline(never)]
    fn check_deadlines(
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
            version: self.hyper.version(),
            counts: self.counts(state),
            is_answering: self.scope.is_open() || state.has_subtasks(),
            is_uploading: state.is_being_read(),
            blocked_at: state.blocked_at(),
            was_idle,
            was_offered_upgrade: self.hyper.was_offered_upgrade(),
        };
        let late = |at| state.worker.catch_up(at, now);
        match self.machine.next(&seen, &Rules::of(state), late, now) {
            Action::Wait(until) => {
                self.wake_at(until, state);
                return ControlFlow::Break(Poll::Pending);
            }
            Action::PollAgain => {}
            Action::Hibernate => return self.hibernate(now, state, cx),
            Action::Probe => match self.detach(state, cx) {
                Poll::Ready(Some(parts)) => self.attach(parts, state),
                Poll::Ready(None) => return ControlFlow::Break(Poll::Ready(None)),
                Poll::Pending => {}
            },
            Action::ShutDown(why) => {
                if let Some(why) = why {
                    state.timed_out(why);
                }
                self.hyper.graceful_shutdown();
            }
            Action::ReachAge { shut_down } => {
                state.timed_out(TimedOut::Age);
                state.mark_old();
                if shut_down {
                    self.hyper.graceful_shutdown();
                }
            }
            Action::Close { why, stalled } => {
                state.end(why, stalled);
                return ControlFlow::Break(Poll::Ready(None));
            }
            Action::Abort => {
                state.timed_out(TimedOut::WriteStall);
                state.discard_unsent();
                return ControlFlow::Break(Poll::Ready(None));
            }
        }
        ControlFlow::Continue(())
    }

    /// Gives up all that hyper has for an idle connection; one in the middle of a head goes on, and
    /// owes it since it has been quiet.
    fn hibernate(
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
                state.cancel_linger();
                let hibernated = Hibernated { io, service, since };
                ControlFlow::Break(Poll::Ready(Some(hibernated)))
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
    fn poll_hyper(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<()> {
        let hyper = &mut self.hyper;
        let polled = self
            .scope
            .enter(state.announces_close(), || hyper.poll(state, cx));
        state.set_busy(self.scope.is_open());
        if self.scope.needs_attention() {
            self.handle_attention(state, cx);
        }
        polled
    }

    /// Reports what the app did wrong, and goes on with what's done behind a response.
    #[cold]
    fn handle_attention(&mut self, state: &ConnState, cx: &mut Context<'_>) {
        for fault in after_poll::take_faults() {
            fault.report(state);
        }
        if let Some(offer) = upgrade_offer::take() {
            self.hyper.keep_upgrade_offer(offer);
        }
        if let Some(background) = after_poll::take_background() {
            self.background = Some(background);
        }
        if let Some(background) = &mut self.background
            && background.as_mut().poll(cx).is_ready()
        {
            self.background = None;
            // For hyper to see that nobody reads it any more.
            cx.waker().wake_by_ref();
        }
        self.scope.set_needs_attention(self.background.is_some());
    }

    /// Tells hyper to end the connection: after what it's answering, or at once if it's idle.
    pub(super) fn graceful_shutdown(&mut self, now: Instant) {
        self.machine.shutdown_requested(now);
        self.hyper.graceful_shutdown();
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
        self.graceful_shutdown(state.now());
        state.begin_detaching();
        let polled = self.poll_hyper(state, cx);
        let was_idle = state.end_detaching();
        if polled.is_pending() {
            return Poll::Pending;
        }
        let hyper = &mut self.hyper;
        let parts = self.scope.enter(false, || hyper.take_parts());
        Poll::Ready(parts.filter(|_| was_idle && !self.scope.is_open()))
    }

    /// Gives a connection that was taken from hyper back to it.
    fn attach(&mut self, parts: Parts<C, A::Service>, state: &ConnState) {
        let Parts {
            mut io,
            service,
            read,
        } = parts;
        self.machine.reattached(!read.is_empty());
        io.unread(read);
        self.hyper = HyperConn::http1(io, service, state);
    }
}

impl<C, A, R> Drop for Active<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn drop(&mut self) {
        // What's left of requests counts for this connection, whoever's scope it is.
        let hyper = self.hyper.take();
        self.scope.enter(false, move || {
            let _dropped = hyper;
        });
        if self.scope.needs_attention() {
            drop(after_poll::take_background());
        }
    }
}

impl<C, A, R> fmt::Debug for Active<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Active")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
