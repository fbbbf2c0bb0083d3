//! The connections that a listener accepts, within the limits of the server.
use super::{
    Accepted, ConnState, ConnTask, Protocol, WorkerState, backoff::Backoff,
    rearmable_timer::RearmableTimer,
};
use crate::{
    error::{Error, ErrorKind},
    observe::Event,
    runtime::{Runtime, panics},
    transport::{AcceptErrorKind, Connecting, Listener},
};
use hyper::rt::Executor;
use std::{
    io, mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// How many connections are accepted before other tasks are polled.
const BATCH: usize = 64;
/// Reports an error that the contract of [`Listener`] forbids.
const WOULD_BLOCK: &str = "`Listener::poll_accept` returned an error of kind `WouldBlock`, which \
    wakes no task, so clients wait: return `Poll::Pending`, and wake the waker when a client comes";

/// Accepts connections and hands them to the executor.
pub(super) struct Incoming<L, P, R> {
    /// `None`: no more connections are accepted.
    listener: Option<L>,
    protocol: P,
    runtime: R,
    worker: Arc<WorkerState>,
    backoff: Backoff,
    /// The end of a wait after an error.
    resume: RearmableTimer,
    /// Whether the listener has returned `WouldBlock`.
    has_blocked: bool,
}

/// The result of trying to accept.
pub(super) enum Accepting {
    /// The listener is pending. `some`: connections were accepted before.
    Waiting {
        some: bool,
    },
    /// A limit has been reached, or descriptors are used up. The task is woken when that changes.
    Held,
    /// The batch is full: other tasks are polled first.
    Yield,
    Failed(Error),
}

impl<L, P, R> Incoming<L, P, R> {
    pub(super) fn new(listener: L, protocol: P, runtime: R, worker: Arc<WorkerState>) -> Self {
        Self {
            listener: Some(listener),
            protocol,
            runtime,
            worker,
            backoff: Backoff::default(),
            resume: RearmableTimer::default(),
            has_blocked: false,
        }
    }

    /// Drops the listener.
    pub(super) fn stop_accepting(&mut self) {
        self.listener = None;
    }
}

impl<L, P, R> Incoming<L, P, R>
where
    L: Listener,
    P: Protocol<Accepted<L::Connection>>,
    R: Runtime + Executor<ConnTask<L::Handshake, P, L::Connection>>,
{
    /// Refuses new clients. Returns how long a client's TCP handshake may still be in flight.
    pub(super) fn stop_listening(&mut self) -> Duration {
        self.listener
            .as_mut()
            .map_or(Duration::ZERO, Listener::stop)
    }

    pub(super) fn accept(&mut self, cx: &mut Context<'_>) -> Accepting {
        if !self.may_resume(cx) {
            return Accepting::Held;
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

    /// Whether a wait after an error is over, or there is none.
    fn may_resume(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(until) = self.backoff.until() else {
            return true;
        };
        let (now, timer) = (self.worker.now(), self.worker.timer());
        let is_over = self.resume.poll(Some(until), now, timer, cx).is_ready();
        if is_over {
            self.backoff.resume();
        }
        is_over
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
                Some(match self.may_resume(cx) {
                    true => Accepting::Yield,
                    false => Accepting::Held,
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
        if !mem::replace(&mut self.has_blocked, true) {
            self.worker.worker.warn(WOULD_BLOCK);
        }
        AcceptErrorKind::Backoff
    }

    /// Returns a permit that was not needed.
    fn give_back(&self) {
        if self.worker.shared.permits.release() {
            self.worker.shared.wake_workers();
        }
    }

    fn begin(&mut self, incoming: Connecting<L::Handshake>) {
        let from_proxy = incoming.is_from_proxy();
        let Connecting {
            peer, handshake, ..
        } = incoming;
        let shared = &self.worker.shared;
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
        let state = ConnState::admit(&self.worker, id, &peer, ip, from_proxy);
        // Cloning the app runs the app's code. A panic there costs only this connection.
        if let Ok(protocol) = panics::catch(|| self.protocol.clone()) {
            self.runtime
                .execute(ConnTask::new(handshake, protocol, state));
        }
    }
}
