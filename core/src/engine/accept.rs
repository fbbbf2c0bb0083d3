//! The accept loop of one worker, through all stages of a drain.
use super::{
    Accepted, ConnTask, Protocol, WorkerGuard, WorkerState,
    incoming::{Accepting, Incoming},
    rearmable_timer::RearmableTimer,
    server_state::{Command, ServerState},
};
use crate::{
    error::Error,
    runtime::{Registered, Runtime},
    transport::Listener,
};
use hyper::rt::Executor;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The least time that the runtime's driver gets to report connections that the kernel has queued.
const MIN_EMPTYING: Duration = Duration::from_millis(2);
/// How long the worker waits for aborted connections to end by themselves.
const ABORT_WAIT: Duration = Duration::from_millis(500);

/// The accept loop of one worker: the future that a runtime polls for as long as the worker lives.
///
/// It accepts connections, hands them to the executor, and leads the worker through a drain. It is
/// ready when the worker has finished. It panics only if the listener panics.
pub struct AcceptLoop<L, P, R> {
    incoming: Incoming<L, P, R>,
    worker: Arc<WorkerState>,
    registered: Registered,
    /// The next end of a stage or of the grace period.
    deadline: RearmableTimer,
    /// The next deadline of the worker's connections.
    conn_timer: RearmableTimer,
    state: AcceptState,
    /// In a drain: when the remaining connections are reported next.
    next_report: Option<Instant>,
    /// Why accepting has ended for good.
    failed: Option<Error>,
    end: WorkerGuard,
}

#[derive(Clone, Copy, Debug)]
enum AcceptState {
    Serving,
    /// Still accepting; the listener stops afterwards.
    LameDuck {
        since: Instant,
    },
    /// Accepting what the kernel has queued already.
    Emptying {
        since: Instant,
        /// Until this time, clients whose TCP handshake is in flight are waited for.
        arrivals_until: Option<Instant>,
        /// The latest end of this state.
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

impl<L, P, R> AcceptLoop<L, P, R> {
    pub(crate) fn new(listener: L, protocol: P, runtime: R, end: WorkerGuard) -> Self {
        let worker = Arc::clone(end.worker());
        Self {
            incoming: Incoming::new(listener, protocol, runtime, Arc::clone(&worker)),
            worker,
            registered: Registered::default(),
            deadline: RearmableTimer::default(),
            conn_timer: RearmableTimer::default(),
            state: AcceptState::Serving,
            next_report: None,
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

    /// Goes through the states until there is something to wait for.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.apply_command();
            match self.state {
                AcceptState::Serving => match self.incoming.accept(cx) {
                    Accepting::Failed(error) => {
                        // Open connections may finish, here and on the other workers.
                        self.incoming.stop_accepting();
                        self.failed = Some(error);
                        let shared = self.shared();
                        shared.drain(shared.config.timeouts.drain);
                        continue;
                    }
                    Accepting::Yield => cx.waker().wake_by_ref(),
                    Accepting::Waiting { .. } | Accepting::Held => {}
                },
                AcceptState::LameDuck { since } => {
                    // Computed each time: a second shutdown may have shortened the drain.
                    let until = since.checked_add(self.shared().lame_duck());
                    // Without connections on any worker, no client has to be informed.
                    if self.shared().connections() == 0 || self.reached(until, cx) {
                        self.state = self.stop_listening(since);
                        continue;
                    }
                    match self.incoming.accept(cx) {
                        Accepting::Failed(_) => self.incoming.stop_accepting(),
                        Accepting::Yield => cx.waker().wake_by_ref(),
                        Accepting::Waiting { .. } | Accepting::Held => {}
                    }
                }
                AcceptState::Emptying {
                    since,
                    arrivals_until,
                    end,
                } => {
                    if self.reached_end(since, cx) {
                        self.abort();
                        continue;
                    }
                    let accepting = self.incoming.accept(cx);
                    let over = match &accepting {
                        // Queued clients that wait for a limit are accepted when other connections
                        // end.
                        Accepting::Held => {
                            self.worker.begin_closing();
                            false
                        }
                        Accepting::Yield | Accepting::Waiting { some: true } => {
                            cx.waker().wake_by_ref();
                            // Without this end, a listener that cannot refuse clients would never
                            // finish.
                            self.reached(end, cx)
                        }
                        Accepting::Waiting { some: false } => self.reached(arrivals_until, cx),
                        Accepting::Failed(_) => true,
                    };
                    if over {
                        self.incoming.stop_accepting();
                        self.worker.begin_closing();
                        self.state = AcceptState::Closing { since };
                        continue;
                    }
                }
                AcceptState::Closing { since } => {
                    if self.worker.is_empty() {
                        return Poll::Ready(());
                    }
                    if self.reached_end(since, cx) {
                        self.abort();
                        continue;
                    }
                }
                AcceptState::Aborting { until } => {
                    if self.worker.is_empty() || self.reached(until, cx) {
                        return Poll::Ready(());
                    }
                }
            }
            return Poll::Pending;
        }
    }

    /// Stops the listener. Clients that the kernel has queued are still accepted.
    fn stop_listening(&mut self, since: Instant) -> AcceptState {
        let moment = self.shared().grace() / 8;
        let arriving = self.incoming.stop_listening();
        let arrivals_until = self
            .worker
            .now()
            .checked_add(arriving.min(moment).max(MIN_EMPTYING));
        let end = arrivals_until.and_then(|at| at.checked_add(moment));
        AcceptState::Emptying {
            since,
            arrivals_until,
            end,
        }
    }

    /// Begins a drain or an abort, if the server has commanded it.
    fn apply_command(&mut self) {
        match (self.shared().command(), self.state) {
            (_, AcceptState::Aborting { .. }) | (Command::Serve, _) => {}
            (Command::Abort, _) => self.abort(),
            (Command::Drain, AcceptState::Serving) => {
                let lame_duck = self.shared().lame_duck();
                self.worker.begin_lame_duck(lame_duck);
                let since = self.worker.now();
                self.state = AcceptState::LameDuck { since };
                let end = since.checked_add(self.shared().grace());
                self.next_report = self.shared().report_drain(since, end);
            }
            (Command::Drain, _) => {}
        }
    }

    fn abort(&mut self) {
        self.incoming.stop_accepting();
        self.worker.begin_abort();
        self.state = AcceptState::Aborting {
            until: self.worker.now().checked_add(ABORT_WAIT),
        };
    }

    /// Wakes the connections whose deadlines have passed, and arms the timer for the next one.
    fn wake_due(&mut self, cx: &mut Context<'_>) {
        let now = self.worker.now();
        let next = self.worker.wake_due(now);
        if self
            .conn_timer
            .poll(next, now, self.worker.timer(), cx)
            .is_ready()
        {
            cx.waker().wake_by_ref();
        }
    }

    /// Whether the grace period is over. Until then, the remaining connections are reported about
    /// once a second.
    fn reached_end(&mut self, since: Instant, cx: &mut Context<'_>) -> bool {
        let end = since.checked_add(self.shared().grace());
        loop {
            let next_report = self
                .next_report
                .filter(|&at| end.is_none_or(|end| at < end));
            if !self.reached(next_report.or(end), cx) {
                return false;
            }
            if next_report.is_none() {
                return true;
            }
            self.next_report = self.shared().report_drain(self.worker.now(), end);
        }
    }

    fn reached(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let now = self.worker.now();
        self.deadline
            .poll(at, now, self.worker.timer(), cx)
            .is_ready()
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
        me.wake_due(cx);
        me.advance(cx).map(|()| {
            me.incoming.stop_accepting();
            me.end.report(me.failed.take().map_or(Ok(()), Err));
        })
    }
}

// Nothing is pinned in place.
impl<L, P, R> Unpin for AcceptLoop<L, P, R> {}

impl<L, P, R> fmt::Debug for AcceptLoop<L, P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptLoop")
            .field("worker", &self.worker)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
