//! The accept loop of one worker, through all stages of a drain.
use super::{
    Accepted, ConnTask, Protocol, WorkerGuard, WorkerState,
    backoff::Backoff,
    rearmable_timer::RearmableTimer,
    server_state::{Command, ServerState},
};
use crate::{
    error::{Error, ErrorKind},
    observe::Event,
    runtime::{Registered, Runtime, panics},
    transport::{AcceptErrorKind, Connecting, Listener},
};
use hyper::rt::Executor;
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How many connections are accepted before other tasks are polled.
const BATCH: usize = 64;
/// How long the runtime's driver gets at least to report connections that the kernel has queued.
const LAST_LOOK: Duration = Duration::from_millis(2);
/// How long the worker waits for aborted connections to end by themselves.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What [`Listener`] forbids.
const WOULD_BLOCK: &str = "`Listener::poll_accept` returned an error of kind `WouldBlock`, which \
    wakes no task, so clients wait: return `Poll::Pending`, and wake the waker when a client comes";

/// The accept loop of one worker: the future that a runtime polls for as long as the worker lives.
///
/// It accepts connections, hands them to the executor, and leads the worker through a drain. It is
/// ready when the worker has finished. It panics only if the listener panics.
pub struct AcceptLoop<L, P, R> {
    listener: Option<L>,
    protocol: P,
    runtime: R,
    worker: Arc<WorkerState>,
    registered: Registered,
    /// The next end of a pause, a stage or the grace period.
    deadline: RearmableTimer,
    /// The next deadline of the worker's connections.
    alarm: RearmableTimer,
    phase: Phase,
    backoff: Backoff,
    /// Whether the listener has returned `WouldBlock`.
    has_blocked: bool,
    /// In a drain: when the remaining connections are reported next.
    tell: Option<Instant>,
    /// Why accepting has ended for good.
    failed: Option<Error>,
    end: WorkerGuard,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Serving,
    /// Still accepting; the listener stops afterwards.
    LameDuck {
        since: Instant,
    },
    /// Accepting what the kernel has queued already.
    Emptying {
        since: Instant,
        /// Clients whose handshake is in flight get until this time.
        look: Option<Instant>,
        /// The end of this phase in any case.
        end: Option<Instant>,
    },
    /// Waiting for the connections to end.
    Closing {
        since: Instant,
    },
    /// Waiting for the aborted connections to end.
    Aborting {
        until: Option<Instant>,
    },
}

/// The result of trying to accept.
enum Accepting {
    /// The listener is pending. Whether a connection was accepted before.
    Waiting {
        some: bool,
    },
    /// A limit has been reached, or descriptors are used up. The task is woken when that changes.
    Held,
    /// The batch is full: other tasks are polled first.
    Yield,
    Failed(Error),
}

impl<L, P, R> AcceptLoop<L, P, R> {
    pub(crate) fn new(listener: L, protocol: P, runtime: R, end: WorkerGuard) -> Self {
        let worker = Arc::clone(end.worker());
        Self {
            listener: Some(listener),
            protocol,
            runtime,
            worker,
            registered: Registered::default(),
            deadline: RearmableTimer::default(),
            alarm: RearmableTimer::default(),
            phase: Phase::Serving,
            backoff: Backoff::default(),
            has_blocked: false,
            tell: None,
            failed: None,
            end,
        }
    }
}

impl<L, P, R> AcceptLoop<L, P, R>
where
    L: Listener,
    P: Protocol<Accepted<L::Connection>>,
    R: Runtime + Executor<ConnTask<L::Handshake, P, L::Connection>>,
{
    fn shared(&self) -> &ServerState {
        &self.worker.shared
    }

    /// Goes through the phases until there is something to wait for.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.heed_orders();
            match self.phase {
                Phase::Serving => match self.accept(cx) {
                    Accepting::Failed(error) => {
                        // Open connections may finish, here and on the other workers.
                        self.listener = None;
                        self.failed = Some(error);
                        let shared = self.shared();
                        shared.drain(shared.config.timeouts.drain);
                        continue;
                    }
                    Accepting::Yield => cx.waker().wake_by_ref(),
                    Accepting::Waiting { .. } | Accepting::Held => {}
                },
                Phase::LameDuck { since } => {
                    // Computed each time: a second shutdown may have shortened the drain.
                    let until = since.checked_add(self.shared().lame_duck());
                    // Without connections on any worker, no client has to be informed.
                    if self.shared().connections() == 0 || self.reached(until, cx) {
                        self.phase = self.stop_listening(since);
                        continue;
                    }
                    match self.accept(cx) {
                        Accepting::Failed(_) => self.listener = None,
                        Accepting::Yield => cx.waker().wake_by_ref(),
                        Accepting::Waiting { .. } | Accepting::Held => {}
                    }
                }
                Phase::Emptying { since, look, end } => {
                    if self.reached_end(since, cx) {
                        self.abort();
                        continue;
                    }
                    let accepting = self.accept(cx);
                    let over = match &accepting {
                        // Clients that are queued behind a limit get in when others leave.
                        Accepting::Held => {
                            self.worker.begin_closing();
                            false
                        }
                        Accepting::Yield | Accepting::Waiting { some: true } => {
                            cx.waker().wake_by_ref();
                            // A listener that cannot keep clients out would never finish.
                            self.reached(end, cx)
                        }
                        Accepting::Waiting { some: false } => self.reached(look, cx),
                        Accepting::Failed(_) => true,
                    };
                    if over {
                        self.listener = None;
                        self.worker.begin_closing();
                        self.phase = Phase::Closing { since };
                        continue;
                    }
                }
                Phase::Closing { since } => {
                    if self.worker.is_empty() {
                        return Poll::Ready(());
                    }
                    if self.reached_end(since, cx) {
                        self.abort();
                        continue;
                    }
                }
                Phase::Aborting { until } => {
                    if self.worker.is_empty() || self.reached(until, cx) {
                        return Poll::Ready(());
                    }
                }
            }
            return Poll::Pending;
        }
    }

    /// Stops the listener. Clients that the kernel has queued are still accepted.
    fn stop_listening(&mut self, since: Instant) -> Phase {
        let moment = self.shared().grace() / 8;
        let arriving = self
            .listener
            .as_mut()
            .map_or(Duration::ZERO, Listener::stop);
        let look = self
            .worker
            .now()
            .checked_add(arriving.min(moment).max(LAST_LOOK));
        let end = look.and_then(|look| look.checked_add(moment));
        Phase::Emptying { since, look, end }
    }

    /// Begins a drain or an abort, if the server has commanded it.
    fn heed_orders(&mut self) {
        match (self.shared().order(), self.phase) {
            (_, Phase::Aborting { .. }) | (Command::Serve, _) => {}
            (Command::Abort, _) => self.abort(),
            (Command::Drain, Phase::Serving) => {
                let lame_duck = self.shared().lame_duck();
                self.worker.begin_lame_duck(lame_duck);
                let since = self.worker.now();
                self.phase = Phase::LameDuck { since };
                let end = since.checked_add(self.shared().grace());
                self.tell = self.shared().report_drain(since, end);
            }
            (Command::Drain, _) => {}
        }
    }

    fn abort(&mut self) {
        self.listener = None;
        self.worker.begin_abort();
        self.phase = Phase::Aborting {
            until: self.worker.now().checked_add(LAST_WORDS),
        };
    }

    /// Wakes the connections whose deadlines have passed, and arms the timer for the next one.
    fn heed_deadlines(&mut self, cx: &mut Context<'_>) {
        let now = self.worker.now();
        let next = self.worker.wake_due(now);
        if self
            .alarm
            .poll(next, now, self.worker.timer(), cx)
            .is_ready()
        {
            cx.waker().wake_by_ref();
        }
    }

    /// Whether the grace period is over. Now and then, what is left is reported.
    fn reached_end(&mut self, since: Instant, cx: &mut Context<'_>) -> bool {
        let end = since.checked_add(self.shared().grace());
        loop {
            let tell = self.tell.filter(|&tell| end.is_none_or(|end| tell < end));
            if !self.reached(tell.or(end), cx) {
                return false;
            }
            if tell.is_none() {
                return true;
            }
            self.tell = self.shared().report_drain(self.worker.now(), end);
        }
    }

    fn reached(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let now = self.worker.now();
        self.deadline
            .poll(at, now, self.worker.timer(), cx)
            .is_ready()
    }

    fn accept(&mut self, cx: &mut Context<'_>) -> Accepting {
        if let Some(until) = self.backoff.until() {
            if !self.reached(Some(until), cx) {
                return Accepting::Held;
            }
            self.backoff.resume();
        }
        for accepted in 0..BATCH {
            let some = accepted > 0;
            let Some(listener) = &mut self.listener else {
                return Accepting::Waiting { some };
            };
            if self.worker.is_full() || !self.worker.shared.permits.acquire() {
                return Accepting::Held;
            }
            match listener.poll_accept(cx) {
                Poll::Ready(Ok(incoming)) => {
                    self.backoff.succeeded();
                    self.begin(incoming);
                }
                Poll::Ready(Err(error)) => {
                    self.give_back();
                    if let Some(accepting) = self.accept_failed(error, cx) {
                        return accepting;
                    }
                }
                Poll::Pending => {
                    self.give_back();
                    return Accepting::Waiting { some };
                }
            }
        }
        Accepting::Yield
    }

    /// Handles an error of the listener. `None`: the next connection can be tried at once.
    fn accept_failed(&mut self, error: io::Error, cx: &mut Context<'_>) -> Option<Accepting> {
        let kind = match error.kind() {
            io::ErrorKind::WouldBlock => self.would_block(),
            _ => self.listener.as_ref()?.classify(&error),
        };
        let (kind, wait) = self.backoff.failed(kind);
        self.worker.config().observe(|| Event::AcceptFailed {
            error: &error,
            kind,
            worker: self.worker.worker.index(),
            wait,
        });
        match kind {
            AcceptErrorKind::Retry => None,
            AcceptErrorKind::Backoff => {
                self.backoff.pause(self.worker.now());
                let over = self.reached(self.backoff.until(), cx);
                Some(if over {
                    Accepting::Yield
                } else {
                    Accepting::Held
                })
            }
            AcceptErrorKind::Fatal => {
                let worker = &self.worker.worker;
                let what = match error.kind() {
                    io::ErrorKind::WouldBlock => format!("{worker}: {WOULD_BLOCK}"),
                    _ => format!("accepting on {worker} failed for good: {error}"),
                };
                let error = Error::new(ErrorKind::Accept, what).with_source(error);
                Some(Accepting::Failed(error))
            }
        }
    }

    /// A listener without a client returned an error instead of `Pending`. In debug builds, its
    /// author finds out at once; in others, the server accepts late, and warns once.
    fn would_block(&mut self) -> AcceptErrorKind {
        if cfg!(debug_assertions) {
            return AcceptErrorKind::Fatal;
        }
        if !std::mem::replace(&mut self.has_blocked, true) {
            self.worker.worker.warn(WOULD_BLOCK);
        }
        AcceptErrorKind::Backoff
    }

    /// Returns a permit that was not needed.
    fn give_back(&self) {
        if self.shared().permits.release() {
            self.shared().wake_workers();
        }
    }

    fn begin(&mut self, incoming: Connecting<L::Handshake>) {
        let from_proxy = incoming.is_from_proxy();
        let Connecting {
            peer, handshake, ..
        } = incoming;
        let shared = self.shared();
        // The client of a proxy is admitted after the handshake, by the connection's task.
        let admission = match from_proxy {
            true => Ok(None),
            false => shared.admission(&peer),
        };
        let ip = match admission {
            Ok(ip) => ip,
            Err(why) => {
                shared
                    .config
                    .observe(|| Event::Refused { peer: &peer, why });
                return self.give_back();
            }
        };
        let (id, worker) = (shared.next_id(), self.worker.worker.index());
        shared.config.observe(|| Event::Accepted {
            id,
            peer: &peer,
            worker,
        });
        // From here on, the connection's state holds the permit.
        let state = self.worker.admit(id, &peer, ip, from_proxy);
        // Cloning the app runs the app's code. A panic there costs only this connection.
        if let Ok(protocol) = panics::catch(|| self.protocol.clone()) {
            self.runtime
                .execute(ConnTask::new(handshake, protocol, state));
        }
    }
}

impl<L, P, R> Future for AcceptLoop<L, P, R>
where
    L: Listener,
    P: Protocol<Accepted<L::Connection>>,
    R: Runtime + Executor<ConnTask<L::Handshake, P, L::Connection>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        // Spurious wake-ups are harmless.
        let _ = me.registered.refresh(cx, &me.worker.accept_loop);
        me.heed_deadlines(cx);
        me.advance(cx).map(|()| {
            me.listener = None;
            me.end.tell(me.failed.take().map_or(Ok(()), Err));
        })
    }
}

// Nothing is pinned in place.
impl<L, P, R> Unpin for AcceptLoop<L, P, R> {}

impl<L, P, R> fmt::Debug for AcceptLoop<L, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptLoop")
            .field("worker", &self.worker)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
