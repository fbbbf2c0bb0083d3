//! Who gets a connection, who opens one, and which one is closed for it.
use super::{Conn, ConnId, Effect, Granted, Id, Machine, OriginId, Phase, Place, WaiterId};
use std::mem;

impl Machine {
    /// Uses an available connection for one more request.
    pub(super) fn take(&mut self, conn: ConnId) -> Granted {
        let state = &mut self.conns[conn.index];
        let origin = state.origin;
        if state.in_use == 0 {
            self.counts.idle -= 1;
            self.counts.active += 1;
        }
        state.in_use += 1;
        let was_idle = state.was_idle;
        self.counts.reused += u64::from(mem::replace(&mut state.was_used, true));
        if state.in_use >= state.capacity {
            let available = &mut self.origins[origin.index].available;
            match available.last() {
                Some(last) if *last == conn => drop(available.pop()),
                _ => available.retain(|other| *other != conn),
            }
        }
        Granted { conn, was_idle }
    }

    /// Gives available connections to waiters, in the order in which they came.
    pub(super) fn serve(&mut self, origin: OriginId) {
        if self.origins[origin.index].queue.len() == 0 {
            return;
        }
        while let Some(&conn) = self.origins[origin.index].available.last()
            && let Some(waiter) = self.pop_waiter(origin)
        {
            let granted = self.take(conn);
            self.waiters[waiter.index].place = Place::Granted(conn);
            self.grants.push_back((waiter, granted));
        }
        self.open_wanted(origin);
    }

    pub(super) fn pop_waiter(&mut self, origin: OriginId) -> Option<WaiterId> {
        let waiter = self.origins[origin.index].queue.pop()?;
        self.counts.waiting -= 1;
        self.blocked.remove(&waiter.number);
        Some(waiter)
    }

    /// How many connections the origin still has to open: enough for its waiters, within its cap.
    fn wanted(&self, origin: OriginId) -> usize {
        let state = &self.origins[origin.index];
        let served = state.promised.saturating_mul(state.capacity);
        let waiters = state.queue.len().saturating_sub(served);
        let below_cap = self.limits.max_per_origin.saturating_sub(state.conns);
        waiters.div_ceil(state.capacity).min(below_cap)
    }

    /// Opens the connections that the origin wants. If the cap in all is reached, idle connections
    /// of other origins are closed for them.
    pub(super) fn open_wanted(&mut self, origin: OriginId) {
        let valid = self.origins.get(origin.index);
        if valid.is_none_or(|state| state.number != origin.number) {
            return;
        }
        while self.wanted(origin) > 0 {
            if self.conns.len() >= self.limits.max_total {
                self.block(origin);
                return;
            }
            let number = self.next_number();
            let index = self.conns.insert(Conn {
                number,
                origin,
                phase: Phase::Connecting,
                in_use: 0,
                capacity: 1,
                is_promise: true,
                was_used: false,
                was_idle: false,
                idle_since: None,
                idle_timeout: self.limits.idle_timeout,
                retire_at: None,
            });
            let state = &mut self.origins[origin.index];
            state.conns += 1;
            state.promised += 1;
            self.counts.connecting += 1;
            self.counts.opened += 1;
            let conn = Id { index, number };
            self.effects.push_back(Effect::Open(conn, origin));
        }
    }

    fn block(&mut self, origin: OriginId) {
        let state = &self.origins[origin.index];
        let served = state.promised.saturating_mul(state.capacity);
        if let Some(waiter) = state.queue.nth(served) {
            self.blocked.insert(waiter.number, origin);
        }
        while self.closing < self.all_wanted()
            && let Some(conn) = self.longest_idle()
        {
            self.close(conn);
        }
    }

    /// How many connections the blocked origins want.
    fn all_wanted(&self) -> usize {
        self.blocked
            .values()
            .map(|origin| self.wanted(*origin))
            .sum()
    }

    fn longest_idle(&self) -> Option<ConnId> {
        let conns = self.conns.iter();
        let idle = conns.filter(|(_, c)| c.phase == Phase::Open && c.in_use == 0);
        let (index, conn) = idle.min_by_key(|(_, c)| c.idle_since)?;
        let number = conn.number;
        Some(Id { index, number })
    }

    /// A connection was closed: the origin that has waited longest opens one.
    pub(super) fn unblock(&mut self) {
        while self.conns.len() < self.limits.max_total
            && let Some((_, origin)) = self.blocked.pop_first()
        {
            self.open_wanted(origin);
        }
    }

    /// Closes a connection that has just become idle, if nobody needs it, or another origin needs
    /// its place.
    pub(super) fn close_unneeded(&mut self, conn: ConnId) {
        let is_idle = |c: &mut Conn| c.phase == Phase::Open && c.in_use == 0;
        if !self.conn(conn).is_some_and(is_idle) {
            return;
        }
        let is_needed_elsewhere = !self.blocked.is_empty() && self.closing < self.all_wanted();
        if self.is_shut_down || is_needed_elsewhere {
            self.close(conn);
        }
    }

    /// Closes a multiplexed connection that was opened in vain: another one takes its requests.
    pub(super) fn close_surplus(&mut self, conn: ConnId) {
        let Some(state) = self.conn(conn) else { return };
        let is_unused = state.phase == Phase::Open && !state.was_used && state.capacity > 1;
        let origin = state.origin;
        if is_unused && self.origins[origin.index].available.len() > 1 {
            self.close(conn);
        }
    }

    /// Closes a connection without requests.
    pub(super) fn close(&mut self, conn: ConnId) {
        self.take_out(conn, Phase::Closing);
        self.closing += 1;
        self.effects.push_back(Effect::Close(conn));
    }

    /// From now on, the connection gets no request.
    pub(super) fn take_out(&mut self, conn: ConnId, phase: Phase) -> OriginId {
        let state = &mut self.conns[conn.index];
        if state.phase == Phase::Open && state.in_use == 0 {
            self.counts.idle -= 1;
            self.counts.active += 1;
        }
        state.phase = phase;
        let origin = state.origin;
        self.drop_promise(conn);
        let available = &mut self.origins[origin.index].available;
        available.retain(|other| *other != conn);
        origin
    }

    /// The capacity of the connection is known, or no longer matters.
    pub(super) fn drop_promise(&mut self, conn: ConnId) {
        let state = &mut self.conns[conn.index];
        if mem::take(&mut state.is_promise) {
            self.origins[state.origin.index].promised -= 1;
        }
    }

    pub(super) fn forget_unused(&mut self, origin: OriginId) {
        let state = &self.origins[origin.index];
        if state.conns == 0 && state.queue.len() == 0 {
            self.origins.remove(origin.index);
            self.forgotten.push_back(origin);
        }
    }
}
