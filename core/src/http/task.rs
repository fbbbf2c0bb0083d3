//! The task of one HTTP connection. It waits for the client with as little memory as possible, and
//! lets hyper serve requests.
use super::{
    Http, SpawnStreams, Streams,
    active::Active,
    detect::Version,
    waiting::{WaitEnd, Waiting},
};
use crate::{
    app::App,
    engine::{Accepted, ConnContext},
    transport::Connection,
};
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// The task of one HTTP connection.
pub struct HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    context: ConnContext,
    state: TaskState<C, A, R>,
}

enum TaskState<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// Nearly all connections of a busy server wait. The size of the task is made for this state.
    Waiting(Waiting<C, A, R>),
    Active(Box<Active<C, A, R>>),
    Over,
}

impl<C, A, R> HttpTask<C, A, R>
where
    C: Connection,
    A: App,
    R: Clone + Unpin + 'static,
    Streams<R>: SpawnStreams<A::Service>,
{
    pub(super) fn new(http: Http<A, R>, io: Accepted<C>, context: ConnContext) -> Self {
        context.state.flags.clear_external_pollers();
        let now = context.state.now();
        Self {
            state: TaskState::Waiting(Waiting::new(http, io, now)),
            context,
        }
    }

    /// Waits for the client. Kept out of line, because the states that follow are large.
    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<TaskState<C, A, R>> {
        let conn = &self.context.state;
        let TaskState::Waiting(waiting) = &mut self.state else {
            return Poll::Ready(TaskState::Over);
        };
        let end = ready!(waiting.poll(conn, cx));
        let TaskState::Waiting(waiting) = mem::replace(&mut self.state, TaskState::Over) else {
            return Poll::Ready(TaskState::Over);
        };
        let active = match end {
            WaitEnd::Serve(version) => waiting.activate(version, conn),
            WaitEnd::ShutDown => waiting.activate(Version::Http1, conn).map(|mut active| {
                active.graceful_shutdown(conn.now());
                active
            }),
            WaitEnd::Closed => None,
        };
        Poll::Ready(active.map_or(TaskState::Over, |active| {
            TaskState::Active(Box::new(active))
        }))
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
            me.state = match &mut me.state {
                TaskState::Active(active) => match ready!(active.poll(&me.context.state, cx)) {
                    Some(hibernated) => TaskState::Waiting(Waiting::hibernating(hibernated)),
                    None => TaskState::Over,
                },
                TaskState::Waiting(_) => ready!(me.wait(cx)),
                TaskState::Over => return Poll::Ready(()),
            };
        }
    }
}

// Nothing is pinned in place: hyper's connections are boxed.
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
        let state = match &self.state {
            TaskState::Waiting(_) => "waiting",
            TaskState::Active(_) => "active",
            TaskState::Over => "over",
        };
        f.debug_struct("HttpTask")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
