//! The task of one HTTP connection: wait for its first bytes, then let hyper serve it, under deadlines and the server's drain.
use super::{
    ConnService, Http, SpawnStreams, Streams,
    detect::{Detect, Version},
    rhythm::{Due, Rhythm},
};
use crate::{
    App, Connection,
    engine::{Accepted, ConnContext, Stage},
    observe::TimedOut,
};
#[cfg(feature = "http1")]
use hyper::server::conn::http1;
#[cfg(feature = "http2")]
use hyper::server::conn::http2;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

#[cfg(feature = "http1")]
type Http1<C, A> = http1::UpgradeableConnection<Accepted<C>, ConnService<<A as App>::Service>>;
#[cfg(feature = "http2")]
type Http2<C, A, R> = http2::Connection<Accepted<C>, ConnService<<A as App>::Service>, Streams<R>>;

/// How long an old connection may be idle before it's closed: its peer may have sent a request already.
const LAST_CALL: Duration = Duration::from_secs(1);

/// The task of one HTTP connection.
pub struct HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    context: ConnContext,
    rhythm: Rhythm,
    /// Since when it has had the age at which it's to end.
    old: Option<Instant>,
    /// Since when hyper has been told to end the connection.
    told: Option<Instant>,
    speaks: Speaks<C, A, R>,
}

enum Speaks<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// It's not known yet: nothing of hyper exists.
    Unknown {
        start: Option<(Accepted<C>, Http<A, R>)>,
        detect: Detect,
    },
    #[cfg(feature = "http1")]
    Http1(Pin<Box<Http1<C, A>>>),
    #[cfg(feature = "http2")]
    Http2(Pin<Box<Http2<C, A, R>>>),
}

impl<C, A, R> HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    pub(super) fn new(http: Http<A, R>, io: Accepted<C>, context: ConnContext) -> Self {
        let now = context.state.worker.now();
        Self {
            context,
            rhythm: Rhythm::new(now),
            old: None,
            told: None,
            speaks: Speaks::Unknown {
                start: Some((io, http)),
                detect: Detect::default(),
            },
        }
    }

    /// Polls as far as it goes; pending, or the connection is over.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.speaks {
            Speaks::Unknown { start, detect } => {
                let Some((io, _)) = start else {
                    return Poll::Ready(());
                };
                let speaks = self.context.state.worker.shared.config.http.speaks();
                let Poll::Ready(version) = detect.poll(io, speaks, cx) else {
                    return Poll::Pending;
                };
                let (Ok(Some(version)), Some((io, http))) = (version, start.take()) else {
                    return Poll::Ready(());
                };
                self.begin(version, io, http);
                self.advance(cx)
            }
            // How it ended is the peer's affair, and hyper has answered what could be answered.
            #[cfg(feature = "http1")]
            Speaks::Http1(connection) => connection.as_mut().poll(cx).map(drop),
            #[cfg(feature = "http2")]
            Speaks::Http2(connection) => connection.as_mut().poll(cx).map(drop),
        }
    }

    fn begin(&mut self, version: Version, io: Accepted<C>, http: Http<A, R>) {
        let Http {
            app,
            service,
            runtime,
        } = http;
        let state = &self.context.state;
        let config = &state.worker.shared.config;
        let info = io.info();
        let service = ConnService::new(
            app.connect(service, info),
            config.http.conn_info.then(|| info.clone()),
            state.clone(),
            version,
        );
        match version {
            #[cfg(feature = "http1")]
            Version::Http1 => {
                let mut builder = http1::Builder::new();
                builder.max_header_size(config.limits.head_bytes);
                let connection = builder.serve_connection(io, service).with_upgrades();
                self.speaks = Speaks::Http1(Box::pin(connection));
            }
            #[cfg(feature = "http2")]
            Version::Http2 => {
                self.rhythm.no_head_owed(state.worker.now());
                let mut builder = http2::Builder::new(Streams::new(runtime, state.clone()));
                builder
                    .timer(h2_limits::Clock(state.worker.timer().clone()))
                    .enable_connect_protocol()
                    .max_concurrent_streams(config.limits.h2_streams)
                    .max_header_list_size(u32::try_from(config.limits.head_bytes).unwrap_or(u32::MAX))
                    .max_pending_accept_reset_streams(h2_limits::PENDING_RESETS)
                    .max_local_error_reset_streams(h2_limits::ERROR_RESETS)
                    .keep_alive_interval(Some(config.timeouts.ping).filter(|ping| *ping < Duration::MAX))
                    .keep_alive_timeout(h2_limits::PING_TIMEOUT);
                self.speaks = Speaks::Http2(Box::pin(builder.serve_connection(io, service)));
            }
            #[cfg(not(all(feature = "http1", feature = "http2")))]
            _ => drop((io, service, runtime)),
        }
    }

    /// Tells hyper to end the connection: after what it's answering, or at once if it's idle.
    fn tell(&mut self, now: Instant) {
        self.told = Some(now);
        match &mut self.speaks {
            Speaks::Unknown { start, .. } => *start = None,
            #[cfg(feature = "http1")]
            Speaks::Http1(connection) => connection.as_mut().graceful_shutdown(),
            #[cfg(feature = "http2")]
            Speaks::Http2(connection) => connection.as_mut().graceful_shutdown(),
        }
    }

    /// Whether the connection has to be told to end.
    fn has_to_be_told(&self) -> bool {
        let stage = self.context.state.stage();
        if self.told.is_some() || stage == Stage::Serving {
            return false;
        }
        match &self.speaks {
            // Its deadline sees to it.
            Speaks::Unknown { .. } => false,
            // Not in the middle of a head: that would lose a request.
            #[cfg(feature = "http1")]
            Speaks::Http1(_) => stage >= Stage::Closing && !self.rhythm.awaits_head(),
            #[cfg(feature = "http2")]
            Speaks::Http2(_) => true,
        }
    }

    /// What's due next, and when.
    fn due(&self) -> Option<(Instant, Due)> {
        let state = &self.context.state;
        let timeouts = &state.worker.shared.config.timeouts;
        let stage = state.stage();
        let other = match (&self.speaks, self.told, self.old) {
            // In a drain, a connection that has never spoken may be silent for as long as the lame duck stage lasts, since it was accepted.
            (Speaks::Unknown { detect, .. }, ..) if stage >= Stage::Closing && !detect.begun() => {
                let quiet = state.accepted_at.checked_add(state.worker.lame_duck());
                quiet.map(|at| (at, Due::Quiet))
            }
            // HTTP/2 asks the peer for a sign of life. If there's none, it's gone, and would hold up the drain. If there's one, the connection
            // ends when the peer has taken what there's for it.
            (_, Some(told), _) => {
                let wait = match self.rhythm.heard_since(told) {
                    true => timeouts.write_stall,
                    false if stage == Stage::Serving => LAST_CALL,
                    false => state.worker.lame_duck(),
                };
                self.quiet_for(told, wait)
            }
            // A request that's on its way already is answered, and told.
            (_, None, Some(old)) => self.quiet_for(old, LAST_CALL),
            (_, None, None) => state
                .accepted_at
                .checked_add(timeouts.age)
                .map(|at| (at, Due::Old)),
        };
        let usual = self.rhythm.due(timeouts, self.told.is_some());
        usual.into_iter().chain(other).min_by_key(|(at, _)| *at)
    }

    /// When nothing will have been asked or answered for so long since then, if it's idle.
    fn quiet_for(&self, since: Instant, wait: Duration) -> Option<(Instant, Due)> {
        let quiet = self.rhythm.quiet_since()?;
        Some((quiet.max(since).checked_add(wait)?, Due::Quiet))
    }

    /// The connection has become old.
    fn grow_old(&mut self, now: Instant) {
        let state = &self.context.state;
        state.timed_out(TimedOut::Age);
        state.leave();
        self.old = Some(now);
        // HTTP/2 has a word of its own for it.
        if self.version() == Version::Http2 {
            self.tell(now);
        }
    }

    fn version(&self) -> Version {
        match &self.speaks {
            #[cfg(feature = "http2")]
            Speaks::Http2(_) => Version::Http2,
            _ => Version::Http1,
        }
    }
}

impl<C, A, R> Future for HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        loop {
            if me.advance(cx).is_ready() {
                return Poll::Ready(());
            }
            let state = &me.context.state;
            let timeouts = &state.worker.shared.config.timeouts;
            let ages = me.old.is_none() && timeouts.age < Duration::MAX;
            if me.rhythm.observe_carefree(state) && !ages && !me.has_to_be_told() {
                return Poll::Pending;
            }
            let now = state.worker.now();
            me.rhythm.observe(state, me.version(), timeouts, now);
            if me.has_to_be_told() {
                me.tell(now);
                continue;
            }
            let due = me.due();
            let at = due.map(|(at, _)| at);
            if me.context.poll_deadline(at, now, cx).is_pending() {
                return Poll::Pending;
            }
            let Some((_, due)) = due.filter(|(at, _)| now >= *at) else {
                continue;
            };
            let state = &me.context.state;
            match due {
                Due::Old => me.grow_old(now),
                Due::Idle if me.told.is_none() => {
                    state.timed_out(TimedOut::KeepAlive);
                    me.tell(now);
                }
                Due::Quiet if me.told.is_none() && me.old.is_some() => me.tell(now),
                Due::Idle | Due::Quiet => return Poll::Ready(()),
                Due::Head => {
                    state.timed_out(TimedOut::Head);
                    return Poll::Ready(());
                }
                Due::Stall => {
                    state.timed_out(TimedOut::WriteStall);
                    return Poll::Ready(());
                }
            }
        }
    }
}

// Nothing in it is pinned by it: hyper's connections are in boxes.
impl<C, A, R> Unpin for HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
}

impl<C, A, R> fmt::Debug for HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTask")
            .field("rhythm", &self.rhythm)
            .finish_non_exhaustive()
    }
}

/// What HTTP/2 is held to, beside [`Limits`](crate::Limits).
#[cfg(feature = "http2")]
mod h2_limits {
    use crate::runtime::SharedTimer;
    use hyper::rt::{Sleep, Timer};
    use std::{
        pin::Pin,
        time::{Duration, Instant},
    };

    /// Streams that the peer reset before they were accepted: "rapid reset", CVE-2023-44487. h2's own value.
    pub(super) const PENDING_RESETS: usize = 20;
    /// Streams that the peer made us reset: "made you reset", CVE-2025-8671. A quarter of h2's own value.
    pub(super) const ERROR_RESETS: usize = 256;
    /// How long a peer may take to answer a ping.
    pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(20);

    /// The worker's clock for hyper, which wants to own one.
    pub(super) struct Clock(pub(super) SharedTimer);

    impl Timer for Clock {
        fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
            self.0.sleep(duration)
        }

        fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
            self.0.sleep_until(deadline)
        }

        fn now(&self) -> Instant {
            self.0.now()
        }

        fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: Instant) {
            self.0.reset(sleep, new_deadline);
        }
    }
}
