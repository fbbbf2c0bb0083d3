//! The task of one HTTP connection: it waits for its peer with next to nothing, and lets hyper
//! serve it when there's something to serve.
use super::{
    Http, SpawnStreams, Streams,
    awake::Awake,
    detect::Version,
    dormant::{Dormant, Woken},
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
    life: Life<C, A, R>,
}

enum Life<C, A, R>
where
    C: Connection,
    A: App,
    Streams<R>: SpawnStreams<A::Service>,
{
    /// It waits. This is what nearly all connections of a busy server do, so it's what the task's
    /// size is made for.
    Dormant(Dormant<C, A, R>),
    Awake(Box<Awake<C, A, R>>),
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
        context.state.stay_home();
        let now = context.state.now();
        Self {
            life: Life::Dormant(Dormant::new(http, io, now)),
            context,
        }
    }

    /// Waits for the peer. What comes then is large, so it's kept out of the way of those that are
    /// awake.
    #[inline(never)]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Life<C, A, R>> {
        let state = &self.context.state;
        let Life::Dormant(dormant) = &mut self.life else {
            return Poll::Ready(Life::Over);
        };
        let woken = ready!(dormant.poll(state, cx));
        let Life::Dormant(dormant) = mem::replace(&mut self.life, Life::Over) else {
            return Poll::Ready(Life::Over);
        };
        let awake = match woken {
            Woken::Speaks(version) => dormant.wake(version, state),
            Woken::Ends => dormant.wake(Version::Http1, state).map(|mut awake| {
                awake.tell(state.now());
                awake
            }),
            Woken::Over => None,
        };
        Poll::Ready(awake.map_or(Life::Over, |awake| Life::Awake(Box::new(awake))))
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
            me.life = match &mut me.life {
                Life::Awake(awake) => match ready!(awake.poll(&me.context.state, cx)) {
                    Some(asleep) => Life::Dormant(Dormant::asleep(asleep)),
                    None => Life::Over,
                },
                Life::Dormant(_) => ready!(me.wait(cx)),
                Life::Over => return Poll::Ready(()),
            };
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
        let life = match &self.life {
            Life::Dormant(_) => "dormant",
            Life::Awake(_) => "awake",
            Life::Over => "over",
        };
        f.debug_struct("HttpTask")
            .field("life", &life)
            .finish_non_exhaustive()
    }
}
