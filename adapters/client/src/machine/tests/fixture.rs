//! A caller of the machine: it carries out the effects, and keeps a model of who waits.
use crate::{
    config::Limits,
    machine::{Checkout, Conn, ConnId, Effect, Granted, Machine, OriginId, Phase, WaiterId},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

pub(super) struct Fixture {
    pub(super) machine: Machine,
    pub(super) now: Instant,
    origins: HashMap<usize, OriginId>,
    /// Attempts whose result is open.
    pub(super) connecting: Vec<ConnId>,
    /// Connections that were told to close.
    pub(super) closing: Vec<ConnId>,
    /// Requests in flight, one entry for each.
    pub(super) in_flight: Vec<ConnId>,
    /// Waiters of each origin, in the order in which they came.
    pub(super) queues: HashMap<OriginId, VecDeque<WaiterId>>,
    /// Waiters with a connection that they have not collected yet.
    pub(super) granted: Vec<(WaiterId, Granted)>,
    pub(super) failed: HashSet<WaiterId>,
}

impl Fixture {
    pub(super) fn new(max_per_origin: usize, max_total: usize) -> Self {
        let limits = Limits {
            max_per_origin,
            max_total,
            idle_timeout: Duration::from_secs(10),
            max_age: Duration::from_secs(100),
        };
        Self {
            machine: Machine::new(limits, 7),
            now: Instant::now(),
            origins: HashMap::new(),
            connecting: Vec::new(),
            closing: Vec::new(),
            in_flight: Vec::new(),
            queues: HashMap::new(),
            granted: Vec::new(),
            failed: HashSet::new(),
        }
    }

    /// A request to this origin. Returns its connection, if it gets one at once.
    pub(super) fn request(&mut self, origin: usize) -> Result<Granted, WaiterId> {
        let id = match self.origins.get(&origin) {
            Some(id) => *id,
            None => {
                let id = self.machine.add_origin(1);
                self.origins.insert(origin, id);
                id
            }
        };
        let checkout = self.machine.checkout(id);
        let queue = self.queues.entry(id).or_default();
        let result = match checkout {
            Checkout::Granted(granted) => {
                assert!(queue.is_empty(), "a request overtook those that wait");
                self.in_flight.push(granted.conn);
                Ok(granted)
            }
            Checkout::Wait(waiter) => {
                queue.push_back(waiter);
                Err(waiter)
            }
        };
        self.settle();
        result
    }

    pub(super) fn close_idle(&mut self, origin: usize) {
        if let Some(id) = self.origins.get(&origin) {
            self.machine.close_idle(*id);
            self.settle();
        }
    }

    /// The attempt connects, with room for one request.
    pub(super) fn connect(&mut self, attempt: usize) -> ConnId {
        let conn = self.connecting.remove(attempt);
        self.machine.connected(conn, false, self.now);
        self.settle();
        conn
    }

    /// The attempt connects, and will say later how many requests it has room for.
    pub(super) fn connect_multiplexed(&mut self, attempt: usize) -> ConnId {
        let conn = self.connecting.remove(attempt);
        self.machine.connected(conn, true, self.now);
        self.settle();
        conn
    }

    /// The attempt fails. Returns who gets the error.
    pub(super) fn fail(&mut self, attempt: usize) -> Option<WaiterId> {
        let conn = self.connecting.remove(attempt);
        self.close(conn)
    }

    /// A waiter with a connection takes it.
    pub(super) fn collect(&mut self, index: usize) -> ConnId {
        let (waiter, granted) = self.granted.remove(index);
        self.machine.collect(waiter);
        self.in_flight.push(granted.conn);
        self.settle();
        granted.conn
    }

    pub(super) fn cancel(&mut self, waiter: WaiterId) {
        for queue in self.queues.values_mut() {
            queue.retain(|other| *other != waiter);
        }
        self.granted.retain(|(other, _)| *other != waiter);
        self.failed.remove(&waiter);
        self.machine.cancel(waiter, self.now);
        self.settle();
    }

    /// A request in flight ends.
    pub(super) fn end(&mut self, index: usize) {
        let conn = self.in_flight.remove(index);
        self.machine.put_back(conn, self.now);
        self.settle();
    }

    /// The connection is gone.
    pub(super) fn close(&mut self, conn: ConnId) -> Option<WaiterId> {
        self.closing.retain(|other| *other != conn);
        self.in_flight.retain(|other| *other != conn);
        let failed = self.machine.closed(conn);
        if let Some(waiter) = failed {
            let front = self
                .queues
                .values_mut()
                .find(|queue| queue.contains(&waiter));
            assert_eq!(
                front.unwrap().pop_front(),
                Some(waiter),
                "the first gets the error"
            );
            self.failed.insert(waiter);
        }
        self.settle();
        failed
    }

    pub(super) fn expire(&mut self, conn: ConnId) -> Option<Instant> {
        let next = self.machine.expire(conn, self.now);
        self.settle();
        next
    }

    pub(super) fn set_capacity(&mut self, conn: ConnId, capacity: usize) {
        self.machine.set_capacity(conn, capacity);
        self.settle();
    }

    pub(super) fn retire(&mut self, conn: ConnId) {
        self.machine.retire(conn);
        self.settle();
    }

    pub(super) fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    /// Connections that are neither connecting nor retired.
    pub(super) fn open(&self) -> Vec<ConnId> {
        self.conns(|conn| conn.phase == Phase::Open)
    }

    pub(super) fn conns(&self, filter: impl Fn(&Conn) -> bool) -> Vec<ConnId> {
        let conns = self.machine.conns.iter().filter(|(_, conn)| filter(conn));
        let id = |(index, conn): (usize, &Conn)| ConnId {
            index,
            number: conn.number,
        };
        conns.map(id).collect()
    }

    fn settle(&mut self) {
        while let Some((waiter, granted)) = self.machine.next_grant() {
            let queue = self
                .queues
                .values_mut()
                .find(|queue| queue.contains(&waiter));
            let first = queue.unwrap().pop_front();
            assert_eq!(first, Some(waiter), "first come, first served");
            self.granted.push((waiter, granted));
        }
        while let Some(origin) = self.machine.next_forgotten() {
            self.origins.retain(|_, other| *other != origin);
            self.queues.remove(&origin);
        }
        while let Some(effect) = self.machine.next_effect() {
            match effect {
                Effect::Open(conn, _) => self.connecting.push(conn),
                Effect::Close(conn) => self.closing.push(conn),
            }
        }
        self.check();
    }

    /// What holds at any time.
    fn check(&self) {
        let machine = &self.machine;
        let limits = machine.limits;
        assert!(machine.conns.len() <= limits.max_total, "the cap in all");
        let mut counts = machine.counts;
        for (index, origin) in &machine.origins {
            let of_origin = |c: &&Conn| c.origin.index == index;
            let conns = machine.conns.iter().map(|(_, c)| c).filter(of_origin);
            let phases: Vec<_> = conns.map(|c| c.phase).collect();
            assert_eq!(origin.conns, phases.len());
            let conns = machine.conns.iter().map(|(_, c)| c).filter(of_origin);
            assert_eq!(origin.promised, conns.filter(|c| c.is_promise).count());
            assert!(
                origin.conns <= limits.max_per_origin,
                "the cap of an origin"
            );
            if origin.queue.len() == 0 {
                continue;
            }
            assert!(
                origin.available.is_empty(),
                "waits while a connection is free"
            );
            let served = origin.promised.saturating_mul(origin.capacity);
            let is_full = origin.conns == limits.max_per_origin;
            let is_blocked = machine.conns.len() == limits.max_total
                && (machine.closing > 0 || machine.counts.idle == 0);
            assert!(
                served >= origin.queue.len() || is_full || is_blocked,
                "waits while a connection could be opened"
            );
        }
        let waiting: usize = self.queues.values().map(VecDeque::len).sum();
        assert_eq!(counts.waiting, waiting);
        for (index, conn) in &machine.conns {
            let id = ConnId {
                index,
                number: conn.number,
            };
            let in_flight = self.in_flight.iter().filter(|c| **c == id).count();
            let granted = self.granted.iter().filter(|(_, g)| g.conn == id).count();
            assert_eq!(conn.in_use, in_flight + granted, "each use is known");
            match conn.phase {
                Phase::Connecting => counts.connecting -= 1,
                Phase::Open if conn.in_use == 0 => counts.idle -= 1,
                _ => counts.active -= 1,
            }
        }
        assert_eq!((counts.idle, counts.active, counts.connecting), (0, 0, 0));
    }
}
