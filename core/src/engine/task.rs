//! The future of one connection: its handshake, then its protocol.
use super::{Accepted, ConnContext, ConnState, Protocol, Stage};
use crate::{
    observe::Event,
    runtime::{Registered, panics},
    transport::{Connected, poll_in_server},
};
use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

pin_project_lite::pin_project! {
    /// The future of one connection, for a runtime's executor.
    ///
    /// It is ready when the connection has ended, whatever the reason. It does not panic.
    pub struct ConnTask<H, P, C>
    where
        C: Connected,
        P: Protocol<Accepted<C>>,
    {
        state: Arc<ConnState>,
        registered: Registered,
        #[pin]
        phase: Phase<H, P, P::Task>,
    }
}

pin_project_lite::pin_project! {
    #[project = PhaseProj]
    enum Phase<H, P, T> {
        Handshake {
            #[pin]
            handshake: H,
            rest: Option<Rest<P>>,
        },
        Running {
            #[pin]
            task: T,
        },
        Over,
    }
}

/// The values that are needed after the handshake.
struct Rest<P> {
    protocol: P,
    context: ConnContext,
}

impl<P> Rest<P> {
    /// Whether the handshake is in time. If so, the task is woken at its deadline.
    ///
    /// `polled_by`: the handshake has a deadline of its own, at which it is polled.
    fn in_time(&self, polled_by: Option<Instant>) -> bool {
        let state = &self.context.state;
        let (worker, since) = (&state.worker, state.accepted_at);
        let timeout = worker.timeouts().handshake;
        let (mut at, drained) = worker.end_of_wait(since, timeout);
        if state.flags.take_due() || drained {
            let now = worker.now();
            at = at.map(|at| worker.catch_up(at, now));
            if at.is_some_and(|at| at <= now) {
                if drained {
                    state.flags.set_stalled();
                }
                return false;
            }
        }
        state.wake_at([at, polled_by].into_iter().flatten().min());
        true
    }
}

impl<H, P, C> ConnTask<H, P, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connected,
    P: Protocol<Accepted<C>>,
{
    pub(super) fn new(handshake: H, protocol: P, state: Arc<ConnState>) -> Self {
        let rest = Rest {
            protocol,
            context: ConnContext::new(Arc::clone(&state)),
        };
        Self {
            state,
            registered: Registered::default(),
            phase: Phase::Handshake {
                handshake,
                rest: Some(rest),
            },
        }
    }
}

impl<H, P, C> Future for ConnTask<H, P, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connected,
    P: Protocol<Accepted<C>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut me = self.project();
        // Spurious wake-ups are harmless.
        let _ = me.registered.refresh(cx, &me.state.task);
        let over = me.state.aborting() || {
            let state = &*me.state;
            let phase = me.phase.as_mut();
            match panics::catch(|| state.in_span(|| phase.poll(state, cx))) {
                Ok(polled) => polled.is_ready(),
                Err(message) => {
                    state.panicked(&message);
                    true
                }
            }
        };
        if over {
            // Dropping runs code of the app, too.
            if let Err(message) = panics::catch(|| me.phase.set(Phase::Over)) {
                me.state.panicked(&message);
            }
            me.state.end_task();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<H, P, T> Phase<H, P, T> {
    fn poll<C>(mut self: Pin<&mut Self>, state: &Arc<ConnState>, cx: &mut Context<'_>) -> Poll<()>
    where
        H: Future<Output = io::Result<C>>,
        C: Connected,
        P: Protocol<Accepted<C>, Task = T>,
        T: Future<Output = ()>,
    {
        loop {
            if let PhaseProj::Running { task } = self.as_mut().project() {
                return task.poll(cx);
            }
            match ready!(self.as_mut().shake_hands(state, cx)) {
                Some(task) => self.set(Self::Running { task }),
                None => return Poll::Ready(()),
            }
        }
    }

    /// The task of an established connection. `None`: the handshake failed, or the client was
    /// refused. Kept out of line, because it runs once per connection.
    #[inline(never)]
    fn shake_hands<C>(
        self: Pin<&mut Self>,
        state: &Arc<ConnState>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>>
    where
        H: Future<Output = io::Result<C>>,
        C: Connected,
        P: Protocol<Accepted<C>, Task = T>,
    {
        let PhaseProj::Handshake { handshake, rest } = self.project() else {
            return Poll::Ready(None);
        };
        let config = state.config();
        let (polled, polled_by) = poll_in_server(|| handshake.poll(cx));
        let done = match (polled, rest.as_mut()) {
            (Poll::Ready(done), _) => done,
            (Poll::Pending, None) => return Poll::Ready(None),
            (Poll::Pending, Some(rest)) => {
                if rest.in_time(polled_by) {
                    return Poll::Pending;
                }
                let what = match state.stage() {
                    Stage::Serving => {
                        format!(
                            "the handshake took longer than {:?}",
                            config.timeouts.handshake
                        )
                    }
                    _ => "the handshake was not done, and the server is draining".to_owned(),
                };
                Err(io::Error::new(io::ErrorKind::TimedOut, what))
            }
        };
        let (io, rest) = match (done, rest.take()) {
            (Ok(io), Some(rest)) => (io, rest),
            (Ok(_), None) => return Poll::Ready(None),
            // The client caused this error.
            (Err(error), _) => {
                config.observe(|| Event::HandshakeFailed {
                    id: state.id,
                    error: &error,
                });
                return Poll::Ready(None);
            }
        };
        let client = io.conn_info().peer();
        if let Err(why) = state.admit_client(client) {
            config.observe(|| Event::Refused { peer: client, why });
            return Poll::Ready(None);
        }
        let connection = Accepted::new(io, Arc::clone(state));
        config.observe(|| Event::Established {
            info: connection.conn_info(),
        });
        Poll::Ready(Some(rest.protocol.serve(connection, rest.context)))
    }
}

impl<H, P, C> fmt::Debug for ConnTask<H, P, C>
where
    C: Connected,
    P: Protocol<Accepted<C>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnTask").finish_non_exhaustive()
    }
}
