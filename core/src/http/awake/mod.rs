//! A connection that speaks HTTP: hyper's, under deadlines and the server's drain, until it's over or falls asleep.
mod due;

use super::{
    ConnService, Http, SpawnStreams, Streams,
    after_poll::{self, Behind},
    detect::Version,
    offer,
    rhythm::{Due, Rhythm},
    speaks::{Parts, Speaks},
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
    time::{Duration, Instant},
};

/// How long an old connection may be idle before it's closed: its peer may have sent a request already.
pub(super) const LAST_CALL: Duration = Duration::from_secs(1);

/// A connection that hyper serves.
pub(super) struct Awake<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    turn: Turn,
    rhythm: Rhythm,
    /// When it's woken, if that has been asked for.
    armed: Option<Instant>,
    /// It's woken no later than at the earliest of its deadlines. What moves them away needs no clock.
    is_armed: bool,
    /// It has asked again soon after it had asked before, so it's worth its buffers for a while.
    lively: bool,
    /// Since when it has had the age at which it's to end.
    old: Option<Instant>,
    /// Since when hyper has been told to end the connection.
    told: Option<Instant>,
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

/// A connection that asked once falls asleep so many times sooner than one that asks again and again: of many that ask now and then, few are awake. Who is woken by it too soon, is lively from then on.
const SOONER: u32 = 40;

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
        let mut rhythm = Rhythm::new(state.now(), since);
        let speaks = match version {
            Version::Http1 => Speaks::http1(io, service, state),
            Version::Http2 => {
                rhythm.no_head_owed(state.now());
                Speaks::http2(io, service, state, runtime)
            }
        };
        Self::new(rhythm, speaks)
    }

    /// A connection that was asleep and speaks again: it owes a head since now. It had been idle since then.
    pub(super) fn again(
        io: Accepted<C>,
        service: ConnService<A::Service>,
        state: &ConnState,
        idle_since: Instant,
    ) -> Self {
        let now = state.now();
        let speaks = Speaks::http1(io, service, state);
        let mut awake = Self::new(Rhythm::new(now, now), speaks);
        awake.old = state.is_old().then_some(now);
        let nap = state.http_options().hibernate_after;
        awake.lively = now.saturating_duration_since(idle_since) < nap;
        awake
    }

    fn new(rhythm: Rhythm, speaks: Speaks<C, A::Service, R>) -> Self {
        Self {
            turn: Turn::default(),
            rhythm,
            armed: None,
            is_armed: false,
            lively: false,
            old: None,
            told: None,
            behind: None,
            speaks,
        }
    }

    pub(super) fn poll(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Polled<C, A::Service> {
        loop {
            let (requests, is_busy) = (self.turn.begun, self.turn.is_open() || state.is_being_read());
            if self.advance(state, cx).is_ready() {
                return Poll::Ready(None);
            }
            // Only then has hyper had a turn after the latest request, in which it ends a connection whose request it can't read to its end.
            let was_idle = !is_busy && requests == self.turn.begun;
            if self.is_armed
                && !state.is_due()
                && !self.has_to_end(state)
                && self.rhythm.observe_carefree(state, self.turn)
            {
                return Poll::Pending;
            }
            if let ControlFlow::Break(polled) = self.look_at_clock(was_idle, state, cx) {
                return polled;
            }
        }
    }

    /// Does what's due, and says what came of it, or that hyper is to go on. A busy connection hardly ever looks, so it's kept out of its way.
    #[inline(never)]
    fn look_at_clock(
        &mut self,
        was_idle: bool,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        let timeouts = state.timeouts();
        if state.take_due() {
            (self.armed, self.is_armed) = (None, false);
        }
        // Its own deadline is the only one then.
        if state.is_lingering() {
            return ControlFlow::Break(Poll::Pending);
        }
        let now = state.now();
        self.rhythm
            .observe(state, self.turn, self.speaks.version(), timeouts, now);
        // Asked again: it may be in the middle of a head now.
        if self.has_to_end(state) {
            match self.speaks.version() {
                // It may be in the middle of a head that came with the request before: only who takes it from hyper sees that.
                Version::Http1 if was_idle => return self.fall_asleep(now, state, cx),
                Version::Http1 => {}
                Version::Http2 => self.tell(now),
            }
            return ControlFlow::Continue(());
        }
        let due = self.due(state).map(|(at, due)| match due.blames_peer() {
            true => (state.worker.catch_up(at, now), due),
            false => (at, due),
        });
        let due = match due {
            Some((at, due)) if at <= now => due,
            due => {
                self.wake_at(due.map(|(at, _)| at), state);
                return ControlFlow::Break(Poll::Pending);
            }
        };
        match due {
            Due::Look => self.rhythm.settle(),
            Due::Old => self.grow_old(state, now),
            Due::Sleep | Due::Search if !was_idle => {}
            Due::Sleep => return self.fall_asleep(now, state, cx),
            Due::Search => match self.detach(state, cx) {
                Poll::Ready(Some(parts)) => {
                    self.rhythm.searched();
                    self.attach(parts, state);
                }
                Poll::Ready(None) => return ControlFlow::Break(Poll::Ready(None)),
                Poll::Pending => {}
            },
            Due::Idle if self.told.is_none() => {
                state.timed_out(TimedOut::KeepAlive);
                self.tell(now);
            }
            // It's an old one of HTTP/1, and ends asleep.
            Due::Quiet if self.told.is_none() && !was_idle => {}
            Due::Quiet if self.told.is_none() => return self.fall_asleep(now, state, cx),
            Due::Idle | Due::Quiet => return end(state),
            Due::Head => {
                state.timed_out(TimedOut::Head);
                return end(state);
            }
            Due::Progress => self.rhythm.looked_for_progress(now),
            Due::Drain => {
                state.set_stalled();
                return end(state);
            }
            Due::Stall => {
                state.timed_out(TimedOut::WriteStall);
                state.forfeit();
                return ControlFlow::Break(Poll::Ready(None));
            }
        }
        ControlFlow::Continue(())
    }

    /// Gives up all that hyper has for an idle connection; one in the middle of a head goes on, and owes it since it has been quiet.
    fn fall_asleep(
        &mut self,
        now: Instant,
        state: &ConnState,
        cx: &mut Context<'_>,
    ) -> ControlFlow<Polled<C, A::Service>> {
        let since = self.rhythm.quiet_since().unwrap_or(now);
        if self.speaks.was_offered_an_upgrade() {
            self.tell(now);
            return ControlFlow::Continue(());
        }
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

    /// Has the connection looked at again by then. If that's later than it will be anyway, there's nothing to be done.
    fn wake_at(&mut self, at: Option<Instant>, state: &ConnState) {
        self.is_armed = true;
        if at.is_some_and(|at| self.armed.is_none_or(|armed| at < armed)) {
            self.armed = at;
            state.wake_at(at);
        }
    }

    /// Has hyper go on as far as it goes; pending, or the connection is over. Inlined, since each request goes through it.
    #[inline(always)]
    fn advance(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<()> {
        let speaks = &mut self.speaks;
        let polled = self.turn.take(state.is_leaving(), || speaks.poll(state, cx));
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
        self.told = Some(now);
        self.speaks.tell();
    }

    /// Takes an idle connection from hyper, whose buffers are freed by it. Pending: it isn't idle, and ends when it is. None: it's over.
    ///
    /// That hyper is done with a connection doesn't say that it was idle: it may have been left in the middle of a request's body, and what follows there is
    /// no request. Done with an idle one, hyper neither reads nor writes; so whatever it read or wrote is no more than ended.
    fn detach(&mut self, state: &ConnState, cx: &mut Context<'_>) -> Poll<Option<Parts<C, A::Service>>> {
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
        if !read.is_empty() {
            self.rhythm.owe_head();
            io.unread(read);
        }
        self.told = None;
        self.speaks = Speaks::http1(io, service, state);
    }

    /// The connection has become old.
    fn grow_old(&mut self, state: &ConnState, now: Instant) {
        state.timed_out(TimedOut::Age);
        state.leave();
        self.old = Some(now);
        // HTTP/2 has a word of its own for it.
        if self.speaks.version() == Version::Http2 {
            self.tell(now);
        }
    }
}

/// Ends a connection whose peer owes something, and tells it so.
fn end<T>(state: &ConnState) -> ControlFlow<Poll<Option<T>>> {
    state.say_goodbye();
    ControlFlow::Break(Poll::Ready(None))
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
            .field("rhythm", &self.rhythm)
            .finish_non_exhaustive()
    }
}
