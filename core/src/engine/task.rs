//! The future of one connection: its handshake, then its protocol.
use super::{
    Accepted, ConnContext, ConnState, Registered,
    deadline::{Deadline, after},
    panics,
};
use crate::{Connection, Protocol};
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
    /// The future of one connection; a runtime's executor is given one for each.
    ///
    /// It's ready when the connection is over, whatever the reason. It doesn't panic.
    pub struct ConnTask<H, P, C>
    where
        C: Connection,
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

/// What waits for the handshake's end.
struct Rest<P> {
    protocol: P,
    id: u64,
    accepted_at: Instant,
    deadline: Deadline,
}

impl<H, P, C> ConnTask<H, P, C>
where
    H: Future<Output = io::Result<C>>,
    C: Connection,
    P: Protocol<Accepted<C>>,
{
    pub(super) fn new(handshake: H, protocol: P, id: u64, state: Arc<ConnState>) -> Self {
        let accepted_at = state.worker.now();
        let rest = Rest {
            protocol,
            id,
            accepted_at,
            deadline: Deadline::default(),
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
    C: Connection,
    P: Protocol<Accepted<C>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut me = self.project();
        me.registered.refresh(cx, &me.state.task);
        let over = me.state.aborting() || {
            let state = &*me.state;
            let phase = me.phase.as_mut();
            !matches!(panics::catch(|| phase.poll(state, cx)), Ok(Poll::Pending))
        };
        if over {
            // Dropping runs code of the app, too.
            let _ = panics::catch(|| me.phase.set(Phase::Over));
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<H, P, T> Phase<H, P, T> {
    fn poll<C>(mut self: Pin<&mut Self>, state: &Arc<ConnState>, cx: &mut Context<'_>) -> Poll<()>
    where
        H: Future<Output = io::Result<C>>,
        C: Connection,
        P: Protocol<Accepted<C>, Task = T>,
        T: Future<Output = ()>,
    {
        loop {
            let running = match self.as_mut().project() {
                PhaseProj::Handshake { handshake, rest } => {
                    let Poll::Ready(done) = handshake.poll(cx) else {
                        let Some(rest) = rest else { return Poll::Ready(()) };
                        let at = after(rest.accepted_at, state.worker.shared.config.timeouts.handshake);
                        return rest
                            .deadline
                            .poll(at, state.worker.now(), state.worker.timer(), cx);
                    };
                    // A failed handshake is the peer's affair.
                    let (Ok(io), Some(rest)) = (done, rest.take()) else {
                        return Poll::Ready(());
                    };
                    let state = Arc::clone(state);
                    let connection = Accepted::new(io, rest.id, rest.accepted_at, Arc::clone(&state));
                    let context = ConnContext {
                        state,
                        deadline: rest.deadline,
                    };
                    rest.protocol.serve(connection, context)
                }
                PhaseProj::Running { task } => return Poll::Ready(ready!(task.poll(cx))),
                PhaseProj::Over => return Poll::Ready(()),
            };
            self.set(Self::Running { task: running });
        }
    }
}

impl<H, P, C> fmt::Debug for ConnTask<H, P, C>
where
    C: Connection,
    P: Protocol<Accepted<C>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnTask").finish_non_exhaustive()
    }
}
