//! The pool of a client: the machine, and what its ids stand for.
//!
//! The machine decides which request gets which connection. It has no I/O and no clock. The pool
//! calls it under one lock, and then opens and closes connections without the lock. Each connection
//! has a task (`connection/drive.rs`): it connects, polls hyper, and reports when a response is
//! over. An attempt to connect outlives the request that caused it. A request is sent within the
//! poll in which it gets its connection, so dropping it needs no code of its own, except in the
//! queue. A connection counts against the caps until its stream (`ClientIo`) is dropped.
use crate::{
    Counts, Error, MakeConnection, Origin,
    client_runtime::ClientRuntime,
    config::Config,
    connection::{Attempt, PooledConn},
    machine::{Checkout, ConnId, Effect, Granted, Machine, OriginId, WaiterId},
    origin::{LastOrigin, OriginParts, OriginRef},
    request_body::ClientBody,
};
use anyport_core::runtime::SharedTimer;
use http::{HeaderValue, Request};
use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

/// What the clones of a client share, and the tasks of its connections.
pub struct Pool<F, B, M> {
    pub(crate) factory: F,
    pub(crate) config: Config,
    pub(crate) timer: SharedTimer,
    state: Mutex<State<B>>,
    runtime: PhantomData<M>,
}

struct State<B> {
    machine: Machine,
    origins: HashMap<Origin, OriginId>,
    /// The origin of the last request. The next request often has the same one.
    last: Option<(LastOrigin, OriginId)>,
    /// By the index of the origin's id.
    facts: Vec<Option<Arc<OriginFacts>>>,
    /// By the index of the connection's id.
    conns: Vec<Option<Arc<PooledConn<B>>>>,
    /// By the index of the waiter's id.
    waiters: Vec<WaiterState<B>>,
    /// A caller is carrying out the effects, so no other one need do it.
    is_settling: bool,
}

/// What is computed once for an origin.
#[derive(Debug)]
pub(crate) struct OriginFacts {
    pub(crate) origin: Origin,
    /// The value of `Host`.
    pub(crate) host: Option<HeaderValue>,
}

/// The state of a waiting request.
enum WaiterState<B> {
    Empty,
    Waiting(Option<Waker>),
    Granted(CheckedOut<B>),
    Failed(Error),
}

/// A connection that a request is about to use.
pub(crate) struct CheckedOut<B> {
    pub(crate) pooled: Arc<PooledConn<B>>,
    /// It has been idle, so the server may have closed it.
    pub(crate) was_idle: bool,
}

/// The result of [`Pool::checkout`].
pub(crate) enum Wanted<B> {
    Ready(CheckedOut<B>),
    Wait(WaiterId, OriginId, Arc<OriginFacts>),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<F, B, M> Pool<F, B, M> {
    pub(crate) fn new(factory: F, config: Config, timer: SharedTimer) -> Self {
        let machine = Machine::new(config.limits, fastrand::u64(..));
        Self {
            factory,
            config,
            timer,
            state: Mutex::new(State {
                machine,
                origins: HashMap::new(),
                last: None,
                facts: Vec::new(),
                conns: Vec::new(),
                waiters: Vec::new(),
                is_settling: false,
            }),
            runtime: PhantomData,
        }
    }

    /// The waiter's connection or error, if it has one.
    pub(crate) fn poll_waiter(
        &self,
        waiter: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<Result<CheckedOut<B>, Error>> {
        let mut state = lock(&self.state);
        let waiter_state = &mut state.waiters[waiter.index];
        let result = match mem::replace(waiter_state, WaiterState::Empty) {
            WaiterState::Granted(checked_out) => Ok(checked_out),
            WaiterState::Failed(error) => Err(error),
            WaiterState::Waiting(Some(waker)) if waker.will_wake(cx.waker()) => {
                *waiter_state = WaiterState::Waiting(Some(waker));
                return Poll::Pending;
            }
            WaiterState::Waiting(_) | WaiterState::Empty => {
                *waiter_state = WaiterState::Waiting(Some(cx.waker().clone()));
                return Poll::Pending;
            }
        };
        state.machine.collect(waiter);
        Poll::Ready(result)
    }

    pub(crate) fn counts(&self) -> Counts {
        lock(&self.state).machine.counts()
    }

    /// How many connections the origin has, how many there are in all, and how many requests wait
    /// for one of the origin.
    pub(crate) fn counts_of(&self, origin: OriginId) -> (usize, usize, usize) {
        let state = lock(&self.state);
        let (conns, waiting) = state.machine.origin_counts(origin);
        let counts = state.machine.counts();
        (
            conns,
            counts.idle + counts.active + counts.connecting,
            waiting,
        )
    }
}

impl<F: MakeConnection, B: ClientBody, M: ClientRuntime<F, B>> Pool<F, B, M> {
    /// A connection for a request, or a place in the queue.
    ///
    /// # Errors
    ///
    /// The request has no origin.
    pub(crate) fn checkout<T>(self: &Arc<Self>, request: &Request<T>) -> Result<Wanted<B>, Error> {
        let mut state = lock(&self.state);
        let mut id = state.origin_id(request, &self.config)?;
        if !state.machine.has_available(id) && state.put_back_ended(&self.timer) {
            self.settle(state);
            // In the meantime, the origin may have been forgotten.
            state = lock(&self.state);
            id = state.origin_id(request, &self.config)?;
        }
        let waiter = match state.machine.checkout(id) {
            Checkout::Granted(granted) => return Ok(Wanted::Ready(state.check_out(granted))),
            Checkout::Wait(waiter) => waiter,
        };
        let waiter_state = WaiterState::Waiting(None);
        put(&mut state.waiters, waiter.index, waiter_state, || {
            WaiterState::Empty
        });
        let facts = state.facts(id);
        self.settle(state);
        Ok(Wanted::Wait(waiter, id, facts))
    }

    /// The waiter gives up.
    pub(crate) fn cancel(self: &Arc<Self>, waiter: WaiterId) {
        let now = self.timer.now();
        let mut state = lock(&self.state);
        let waiter_state = mem::replace(&mut state.waiters[waiter.index], WaiterState::Empty);
        state.machine.cancel(waiter, now);
        self.settle(state);
        drop(waiter_state);
    }

    /// An attempt has connected.
    pub(crate) fn connected(self: &Arc<Self>, pooled: Arc<PooledConn<B>>, now: Instant) {
        let mut state = lock(&self.state);
        let (conn, is_http2) = (pooled.conn, pooled.is_http2);
        put(&mut state.conns, conn.index, Some(pooled), || None);
        state.machine.connected(conn, is_http2, now);
        self.settle(state);
    }

    /// A connection is closed, or its attempt has failed with this error.
    pub(crate) fn closed(self: &Arc<Self>, conn: ConnId, error: impl FnOnce() -> Error) {
        let mut state = lock(&self.state);
        let pooled = state.conns.get_mut(conn.index).and_then(Option::take);
        let mut waker = None;
        if let Some(waiter) = state.machine.closed(conn) {
            waker = state.set_waiter(waiter, WaiterState::Failed(error()));
        }
        self.settle(state);
        drop(pooled);
        wake(waker);
    }

    pub(crate) fn put_back(self: &Arc<Self>, conn: ConnId) {
        let now = self.timer.now();
        self.update(|machine| machine.put_back(conn, now));
    }

    pub(crate) fn set_capacity(self: &Arc<Self>, conn: ConnId, capacity: usize) {
        self.update(|machine| machine.set_capacity(conn, capacity));
    }

    pub(crate) fn retire(self: &Arc<Self>, conn: ConnId) {
        self.update(|machine| machine.retire(conn));
    }

    /// A request on this connection is sent again. If the server has closed the connection while it
    /// was idle, it closes the other idle ones, too: they have been idle for longer.
    pub(crate) fn retried(self: &Arc<Self>, pooled: &PooledConn<B>) {
        let mut state = lock(&self.state);
        state.machine.retried();
        state.machine.retire(pooled.conn);
        let origin = state.origins.get(&pooled.conn_state.facts.origin).copied();
        if let Some(origin) = origin.filter(|_| !pooled.is_http2) {
            state.machine.close_idle(origin);
        }
        self.settle(state);
    }

    pub(crate) fn expire(self: &Arc<Self>, conn: ConnId) -> Option<Instant> {
        let now = self.timer.now();
        self.update(|machine| machine.expire(conn, now))
    }

    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.update(Machine::shut_down);
    }

    fn update<T>(self: &Arc<Self>, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state.machine);
        self.settle(state);
        result
    }

    /// Carries out the effects of a change. Tasks are woken and spawned, and connections closed,
    /// without the lock.
    fn settle<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State<B>>) {
        if state.machine.is_settled() {
            return;
        }
        state.forget();
        let wakers = state.grant();
        let is_settled = state.is_settling || !state.machine.has_effects();
        if is_settled && wakers.0.is_none() {
            return;
        }
        state.is_settling |= !is_settled;
        drop(state);
        wakers.wake();
        if is_settled {
            return;
        }
        loop {
            let mut state = lock(&self.state);
            match state.machine.next_effect() {
                None => {
                    state.is_settling = false;
                    return;
                }
                Some(Effect::Open(conn, origin)) => {
                    let facts = state.facts(origin);
                    drop(state);
                    M::spawn(Attempt::new(Arc::clone(self), conn, facts));
                }
                Some(Effect::Close(conn)) => {
                    let pooled = state.conns.get(conn.index).cloned().flatten();
                    drop(state);
                    if let Some(pooled) = pooled.filter(|pooled| pooled.conn == conn) {
                        pooled.close();
                    }
                }
            }
        }
    }
}

impl<F, B, M> fmt::Debug for Pool<F, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// The wakers of the waiters that have got a connection: seldom more than one.
struct Wakers(Option<Waker>, Vec<Waker>);

impl Wakers {
    fn wake(self) {
        self.0.into_iter().chain(self.1).for_each(Waker::wake);
    }
}

impl<B> State<B> {
    fn origin_id<T>(&mut self, request: &Request<T>, config: &Config) -> Result<OriginId, Error> {
        if let Some((last, id)) = &self.last
            && last.is_of(request)
        {
            return Ok(*id);
        }
        let origin = OriginRef::of(request)?;
        let id = match self.origins.get(&origin as &dyn OriginParts) {
            Some(id) => *id,
            None => self.add_origin(&origin, config),
        };
        self.last = LastOrigin::of(request).map(|last| (last, id));
        Ok(id)
    }

    fn add_origin(&mut self, origin: &OriginRef<'_>, config: &Config) -> OriginId {
        let id = self.machine.add_origin(config.expected_capacity());
        let origin = origin.to_origin();
        let host = origin.host_value();
        self.origins.insert(origin.clone(), id);
        let facts = Some(Arc::new(OriginFacts { origin, host }));
        put(&mut self.facts, id.index, facts, || None);
        id
    }

    fn facts(&self, id: OriginId) -> Arc<OriginFacts> {
        match &self.facts[id.index] {
            Some(facts) => Arc::clone(facts),
            None => unreachable!("an origin has facts from its beginning"),
        }
    }

    /// Puts back the requests of HTTP/2 that have ended, before their connections' tasks do it.
    /// Returns whether there were any.
    fn put_back_ended(&mut self, timer: &SharedTimer) -> bool {
        let mut has_ended = false;
        for pooled in self.conns.iter().flatten() {
            for _ in 0..pooled.conn_state.take_ended() {
                self.machine.put_back(pooled.conn, timer.now());
                has_ended = true;
            }
        }
        has_ended
    }

    /// Drops what belongs to origins that are no longer used.
    fn forget(&mut self) {
        while let Some(id) = self.machine.next_forgotten() {
            if let Some(facts) = self.facts[id.index].take() {
                self.origins.remove(&facts.origin);
            }
            self.last.take_if(|(_, last)| *last == id);
        }
    }

    /// Gives waiters their connections.
    fn grant(&mut self) -> Wakers {
        let mut wakers = Wakers(None, Vec::new());
        while let Some((waiter, granted)) = self.machine.next_grant() {
            let checked_out = self.check_out(granted);
            let waker = self.set_waiter(waiter, WaiterState::Granted(checked_out));
            match &mut wakers {
                Wakers(first @ None, _) => *first = waker,
                Wakers(_, others) => others.extend(waker),
            }
        }
        wakers
    }

    fn check_out(&self, granted: Granted) -> CheckedOut<B> {
        match &self.conns[granted.conn.index] {
            Some(pooled) => CheckedOut {
                pooled: Arc::clone(pooled),
                was_idle: granted.was_idle,
            },
            None => unreachable!("an open connection is in the pool"),
        }
    }

    /// Sets the state of a waiter. Returns its waker.
    fn set_waiter(&mut self, waiter: WaiterId, waiter_state: WaiterState<B>) -> Option<Waker> {
        match mem::replace(&mut self.waiters[waiter.index], waiter_state) {
            WaiterState::Waiting(waker) => waker,
            _ => None,
        }
    }
}

/// `vec[index] = value`, with a `filler` for new places before it.
fn put<T>(vec: &mut Vec<T>, index: usize, value: T, filler: impl Fn() -> T) {
    while vec.len() <= index {
        vec.push(filler());
    }
    vec[index] = value;
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
