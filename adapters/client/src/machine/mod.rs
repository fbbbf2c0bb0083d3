//! The decisions of the pool: which request gets which connection, and when one is opened or
//! closed.
//!
//! It does no I/O and reads no clock, so that tests can drive it. Each input changes the state.
//! Then the caller carries out what [`next_grant`](Machine::next_grant) and its siblings return. A
//! connection counts against the caps from the beginning of its attempt to
//! [`closed`](Machine::closed), also while it closes or is upgraded.
mod demand;
mod queue;
mod state;
#[cfg(test)]
mod tests;

pub use self::state::Counts;
pub(crate) use self::state::{
    Checkout, ConnId, Effect, Granted, Id, MULTIPLEXED, Machine, OriginId, WaiterId,
};
use self::{
    queue::Queue,
    state::{Conn, OriginState, Phase, Place, Waiter},
};
use crate::config::Limits;
use slab::Slab;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

impl Machine {
    /// `seed` decides the jitter of idle timeouts and ages.
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            origins: Slab::new(),
            conns: Slab::new(),
            waiters: Slab::new(),
            blocked: BTreeMap::new(),
            grants: VecDeque::new(),
            forgotten: VecDeque::new(),
            effects: VecDeque::new(),
            numbers: 0,
            random: fastrand::Rng::with_seed(seed),
            closing: 0,
            is_shut_down: false,
            counts: Counts::default(),
        }
    }

    /// The next waiter that has got a connection. The caller asks before the next `cancel` and
    /// `closed`.
    pub(crate) fn next_grant(&mut self) -> Option<(WaiterId, Granted)> {
        self.grants.pop_front()
    }

    /// The next origin without connections and waiters. Its id is invalid. The caller asks before
    /// the next input.
    pub(crate) fn next_forgotten(&mut self) -> Option<OriginId> {
        self.forgotten.pop_front()
    }

    /// Whether there is nothing to carry out.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.grants.is_empty() && self.forgotten.is_empty() && self.effects.is_empty()
    }

    pub(crate) fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// `capacity` is how many requests a connection of this origin will probably take at once.
    pub(crate) fn add_origin(&mut self, capacity: usize) -> OriginId {
        let number = self.next_number();
        let index = self.origins.insert(OriginState {
            number,
            available: Vec::new(),
            queue: Queue::default(),
            conns: 0,
            promised: 0,
            capacity,
        });
        Id { index, number }
    }

    /// Whether a request gets a connection at once.
    #[inline]
    pub(crate) fn has_available(&self, origin: OriginId) -> bool {
        !self.origins[origin.index].available.is_empty()
    }

    /// A request wants a connection to this origin.
    pub(crate) fn checkout(&mut self, origin: OriginId) -> Checkout {
        if let Some(&conn) = self.origins[origin.index].available.last() {
            return Checkout::Granted(self.take(conn));
        }
        let number = self.next_number();
        let index = self.waiters.insert(Waiter {
            number,
            origin,
            place: Place::Queued,
        });
        let waiter = Id { index, number };
        self.origins[origin.index].queue.push(waiter);
        self.counts.waiting += 1;
        self.open_wanted(origin);
        Checkout::Wait(waiter)
    }

    /// The attempt has connected. The connection takes one request at once, or, if it is
    /// multiplexed, one until [`set_capacity`](Self::set_capacity).
    pub(crate) fn connected(&mut self, conn: ConnId, is_multiplexed: bool, now: Instant) {
        let limits = self.limits;
        let jitter = 1.0 - self.random.f64() / 10.0;
        let Some(state) = self.conn(conn).filter(|c| c.phase == Phase::Connecting) else {
            return;
        };
        state.phase = Phase::Open;
        state.idle_since = Some(now);
        state.idle_timeout = shorten(limits.idle_timeout, jitter);
        state.retire_at = now.checked_add(shorten(limits.max_age, jitter));
        let origin = state.origin;
        self.counts.connecting -= 1;
        self.counts.idle += 1;
        self.origins[origin.index].available.push(conn);
        if is_multiplexed {
            let capacity = &mut self.origins[origin.index].capacity;
            *capacity = MULTIPLEXED.max(*capacity);
        } else {
            self.drop_promise(conn);
        }
        self.serve(origin);
        self.conns[conn.index].was_idle = true;
        self.close_unneeded(conn);
    }

    /// A request on this connection has ended, and the connection can take another.
    pub(crate) fn put_back(&mut self, conn: ConnId, now: Instant) {
        let Some(state) = self.conn(conn).filter(|c| c.in_use > 0) else {
            return;
        };
        let was_full = state.in_use >= state.capacity;
        state.in_use -= 1;
        let (origin, in_use) = (state.origin, state.in_use);
        let is_available = was_full && in_use < state.capacity;
        match state.phase {
            Phase::Open => {}
            // It was too old.
            Phase::Retired if in_use == 0 => return self.close(conn),
            _ => return,
        }
        if in_use == 0 {
            state.idle_since = Some(now);
            self.counts.active -= 1;
            self.counts.idle += 1;
        }
        if is_available {
            self.origins[origin.index].available.push(conn);
        }
        self.serve(origin);
        self.close_unneeded(conn);
    }

    /// The number of requests that the connection takes at once has changed.
    pub(crate) fn set_capacity(&mut self, conn: ConnId, capacity: usize) {
        let Some(state) = self.conn(conn).filter(|c| c.phase == Phase::Open) else {
            return;
        };
        let was_available = state.in_use < state.capacity;
        state.capacity = capacity;
        let is_available = state.in_use < capacity;
        let origin = state.origin;
        let origin_state = &mut self.origins[origin.index];
        origin_state.capacity = capacity.max(1);
        match (was_available, is_available) {
            (false, true) => origin_state.available.push(conn),
            (true, false) => origin_state.available.retain(|other| *other != conn),
            _ => {}
        }
        self.drop_promise(conn);
        self.serve(origin);
        self.close_surplus(conn);
    }

    /// The connection gets no more requests: it ends, or was upgraded.
    pub(crate) fn retire(&mut self, conn: ConnId) {
        if self.conn(conn).is_some_and(|c| c.phase == Phase::Open) {
            let origin = self.take_out(conn, Phase::Retired);
            self.open_wanted(origin);
        }
    }

    /// The connection is closed, or its attempt has failed. Returns the waiter that gets the error
    /// of the attempt.
    pub(crate) fn closed(&mut self, conn: ConnId) -> Option<WaiterId> {
        if self.conn(conn).is_some_and(|c| c.phase == Phase::Open) {
            self.take_out(conn, Phase::Retired);
        }
        let phase = self.conn(conn)?.phase;
        self.drop_promise(conn);
        let origin = self.conns.remove(conn.index).origin;
        self.origins[origin.index].conns -= 1;
        let mut failed = None;
        match phase {
            Phase::Connecting => {
                self.counts.connecting -= 1;
                failed = self.pop_waiter(origin);
                if let Some(waiter) = failed {
                    self.waiters[waiter.index].place = Place::Failed;
                }
            }
            Phase::Closing => {
                self.closing -= 1;
                self.counts.active -= 1;
            }
            Phase::Open | Phase::Retired => self.counts.active -= 1,
        }
        self.unblock();
        self.open_wanted(origin);
        self.forget_unused(origin);
        failed
    }

    /// The request no longer waits.
    pub(crate) fn cancel(&mut self, waiter: WaiterId, now: Instant) {
        let state = self.waiters.get(waiter.index);
        let Some(state) = state.filter(|w| w.number == waiter.number) else {
            return;
        };
        let (origin, place) = (state.origin, state.place);
        self.collect(waiter);
        match place {
            Place::Queued => {}
            Place::Granted(conn) => return self.put_back(conn, now),
            Place::Failed => return,
        }
        self.counts.waiting -= 1;
        self.blocked.remove(&waiter.number);
        self.origins[origin.index].queue.remove(waiter);
        self.open_wanted(origin);
        self.forget_unused(origin);
    }

    /// The waiter has taken its connection, or its error.
    pub(crate) fn collect(&mut self, waiter: WaiterId) {
        self.waiters.remove(waiter.index);
    }

    /// Closes the connection if it has been idle, or has lived, for too long. Otherwise returns
    /// when to ask again. `None`: never.
    pub(crate) fn expire(&mut self, conn: ConnId, now: Instant) -> Option<Instant> {
        let state = self.conn(conn).filter(|c| c.phase == Phase::Open)?;
        let is_idle = state.in_use == 0;
        let since = state.idle_since.filter(|_| is_idle).unwrap_or(now);
        let idle_until = since.checked_add(state.idle_timeout);
        let end = [idle_until, state.retire_at].into_iter().flatten().min()?;
        if end > now {
            return Some(end);
        }
        match is_idle {
            true => self.close(conn),
            // It closes when its requests have ended.
            false => self.retire(conn),
        }
        None
    }

    /// No client is left: idle connections close, and others as soon as nobody needs them.
    pub(crate) fn shut_down(&mut self) {
        self.is_shut_down = true;
        let conns = self.conns.iter();
        let ids: Vec<_> = conns
            .map(|(index, c)| Id {
                index,
                number: c.number,
            })
            .collect();
        for conn in ids {
            self.close_unneeded(conn);
        }
    }

    /// A request is sent again.
    pub(crate) fn retried(&mut self) {
        self.counts.retried += 1;
    }

    /// Closes the idle connections of an origin.
    pub(crate) fn close_idle(&mut self, origin: OriginId) {
        for conn in self.origins[origin.index].available.clone() {
            if self.conns[conn.index].in_use == 0 {
                self.close(conn);
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many connections the origin has, and how many requests wait for one.
    pub(crate) fn origin_counts(&self, origin: OriginId) -> (usize, usize) {
        let state = self.origins.get(origin.index);
        let state = state.filter(|state| state.number == origin.number);
        state.map_or((0, 0), |state| (state.conns, state.queue.len()))
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        let state = self.conns.get_mut(conn.index)?;
        (state.number == conn.number).then_some(state)
    }
}

/// Part of a limit. `Duration::MAX` stays what it is.
fn shorten(limit: Duration, part: f64) -> Duration {
    match limit {
        Duration::MAX => limit,
        _ => limit.mul_f64(part),
    }
}
