//! A connection that hyper serves, under the server's deadlines and drain, until the connection
//! closes or hibernates.
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
    /// Work that continues after a response's head: reading the rest of a request's body.
    background: Option<Background>,
    hyper: HyperConn<C, A::Service, R>,
}

/// An idle HTTP/1 connection that has been taken from hyper.
pub(super) struct Hibernated<C: Connection, S> {
    pub(super) io: Accepted<C>,
    pub(super) service: ConnService<S>,
    /// When the connection became idle.
    pub(super) since: Instant,
}

/// `Ready(None)`: the connection is closed. `Ready(Some(_))`: it hibernates.
type Polled<C, S> = Poll<Option<Hibernated<C, S>>>;

/// When the worker wakes the connection next. Postponing a deadline needs no clock: the task wakes
/// at the old time and computes the next one.
#[derive(Clone, Copy)]
enum Alarm {
    /// The deadlines have to be computed.
    Unset,
    /// The task wakes at this time at the latest. `None`: no deadline.
    Set(Option<Instant>),
}

impl<C, A, R> Active<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// A connection whose first request has begun to arrive. Its head timeout runs from `since`.
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

    /// A connection that has hibernated since `idle_since`, and has received bytes now.
    pub(super) fn resume(
        io: Accepted<C>,
        service: ConnService<A::Service>,
        state: &ConnState,
        idle_since: Instant,
    ) -> Self {
        let hibernate_after = state.config().http.hibernate_after;
        let machine = Machine::resumed(
            idle_since,
            state.flags.has_reached_age(),
            hibernate_after,
            state.now(),
        );
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
            // Hyper closes a connection whose request body it cannot read to the end, but only in
            // the poll after that request. So the connection counts as idle one poll later.
            let was_idle = !is_busy && requests == self.scope.exchanges;
            if matches!(self.alarm, Alarm::Set(_))
                && !state.flags.is_due()
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

    /// Whether the clock need not be read. Either a request is in progress and the peer accepts
    /// what is sent, or the connection was idle before this poll and has answered all new requests.
    #[inline(always)]
    fn can_skip_clock(&mut self, state: &ConnState) -> bool {
        if state.is_blocked() {
            return false;
        }
        if self.scope.is_open() || state.has_subtasks() {
            self.machine.mark_responding();
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

    /// Carries out what is due. `Continue` polls hyper again. Kept out of line, because a busy
    /// connection seldom comes here.
    #[inline(never)]
    fn check_deadlines(
        &mut self,
        was_idle: bool,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        if state.flags.take_due() {
            self.alarm = Alarm::Unset;
        }
        // Lingering has a deadline of its own.
        if state.flags.is_lingering() {
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
                state.flags.mark_reached_age();
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
                state.flags.discard_unsent();
                return ControlFlow::Break(Poll::Ready(None));
            }
        }
        ControlFlow::Continue(())
    }

    /// Drops hyper's state of an idle connection. A connection in the middle of a head stays
    /// active, and its head timeout runs from the previous response.
    fn hibernate(
        &mut self,
        now: Instant,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        let since = self.machine.idle_since().unwrap_or(now);
        match self.detach(state, cx) {
            Poll::Ready(Some(parts)) if parts.read.is_empty() => {
                let Parts { io, service, .. } = parts;
                // The rest of the last request's body, if any, has been read.
                state.flags.cancel_linger();
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

    /// Makes the worker wake the connection at `until`, unless it wakes earlier anyway.
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

    /// Polls hyper. Ready: the connection is closed. Inlined, because each request passes here.
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

    /// Reports faults of the app, and polls the work that continues after a response.
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
            // Hyper must be polled again, because the body is not read any more.
            cx.waker().wake_by_ref();
        }
        self.scope.set_needs_attention(self.background.is_some());
    }

    /// Requests hyper's graceful shutdown: after the response in progress, or at once if idle.
    pub(super) fn graceful_shutdown(&mut self, now: Instant) {
        self.machine.shutdown_requested(now);
        self.hyper.graceful_shutdown();
    }

    /// Takes an idle connection from hyper, and frees hyper's buffers. Pending: a request is in
    /// progress, and hyper closes the connection after it. `None`: the connection is closed.
    ///
    /// Hyper also finishes a connection in the middle of a request's body, and the bytes that
    /// follow are not a request. An idle connection is finished without a read or a write. So any
    /// read or write during the poll means that the connection was not idle.
    fn detach(
        &mut self,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Parts<C, A::Service>>> {
        self.graceful_shutdown(state.now());
        state.flags.begin_detaching();
        let polled = self.poll_hyper(state, cx);
        let was_idle = state.flags.end_detaching();
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
        // Requests that are dropped with hyper are counted for this connection, even while another
        // one is being polled.
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
