//! The future of one connection: the race, then the winner's handshake.
use crate::{
    ConnectError, Resolve,
    error::{History, Reason},
    family_memory::FamilyMemory,
    happy_eyeballs::Config,
    name::Name,
    order::SourceAddress,
    race::{Race, Won},
    wake_up::WakeUp,
};
use anyport_core::{runtime::SharedTimer, transport::Connector};
use std::{
    fmt,
    future::Future,
    mem,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The future of [`HappyEyeballs::connect`](crate::HappyEyeballs::connect).
#[must_use = "futures do nothing unless polled"]
pub struct Connect<C: Connector, R: Resolve>(State<C, R>);

enum State<C: Connector, R: Resolve> {
    Invalid(ConnectError),
    Start(Box<Setup<C, R>>),
    Race(Box<Race<C, R>>),
    Handshake(Box<Handshake<C>>),
    Done,
}

/// The input of a race.
pub(crate) struct Setup<C, R> {
    pub(crate) connector: C,
    pub(crate) resolver: R,
    pub(crate) timer: SharedTimer,
    pub(crate) config: Config,
    pub(crate) memory: FamilyMemory,
    pub(crate) source: SourceAddress,
    pub(crate) name: Name,
}

struct Handshake<C: Connector> {
    future: Pin<Box<C::Handshake>>,
    address: SocketAddr,
    name: Name,
    history: History,
    deadline: Duration,
    wake_up: WakeUp,
}

impl<C: Connector, R: Resolve> Connect<C, R> {
    pub(crate) fn new(setup: Setup<C, R>) -> Self {
        Self(State::Start(Box::new(setup)))
    }

    pub(crate) fn invalid(host: &str, why: String) -> Self {
        let reason = Reason::InvalidName(why);
        let error = ConnectError::new(format_args!("{host:?}"), reason, History::default());
        Self(State::Invalid(error))
    }
}

/// Only boxed futures are pinned.
impl<C: Connector, R: Resolve> Unpin for Connect<C, R> {}

impl<C: Connector, R: Resolve> Future for Connect<C, R> {
    type Output = Result<C::Connection, ConnectError>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            self.0 = match &mut self.0 {
                State::Race(race) => {
                    let won = ready!(race.poll(cx));
                    match (won, mem::replace(&mut self.0, State::Done)) {
                        (Ok(won), State::Race(race)) => {
                            State::Handshake(Box::new(Handshake::new(*race, won)))
                        }
                        (Err(reason), State::Race(race)) => {
                            return Poll::Ready(Err(race.into_error(reason)));
                        }
                        _ => State::Done,
                    }
                }
                State::Handshake(handshake) => {
                    let result = ready!(handshake.poll(cx));
                    self.0 = State::Done;
                    return Poll::Ready(result);
                }
                _ => match mem::replace(&mut self.0, State::Done) {
                    State::Start(setup) => State::Race(Box::new(Race::new(*setup))),
                    State::Invalid(error) => return Poll::Ready(Err(error)),
                    _ => panic!("`Connect` was polled after it was ready"),
                },
            };
        }
    }
}

impl<C: Connector> Handshake<C> {
    fn new<R: Resolve>(race: Race<C, R>, won: Won<C>) -> Self {
        let deadline = race.deadline();
        let (name, history, wake_up) = race.into_parts();
        Self {
            future: Box::pin(won.handshake),
            address: won.address,
            name,
            history,
            deadline,
            wake_up,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<C::Connection, ConnectError>> {
        let reason = match self.future.as_mut().poll(cx) {
            Poll::Ready(Ok(connection)) => return Poll::Ready(Ok(connection)),
            Poll::Ready(Err(error)) => Reason::Handshake(self.address, error),
            Poll::Pending => {
                ready!(self.wake_up.poll_deadline(cx));
                Reason::HandshakeDeadline(self.address, self.deadline)
            }
        };
        let history = mem::take(&mut self.history);
        Poll::Ready(Err(ConnectError::new(&self.name, reason, history)))
    }
}

impl<C: Connector, R: Resolve> fmt::Debug for Connect<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Invalid(_) => "invalid name",
            State::Start(_) => "not started",
            State::Race(_) => "connecting",
            State::Handshake(_) => "in the handshake",
            State::Done => "done",
        };
        f.debug_tuple("Connect").field(&state).finish()
    }
}
