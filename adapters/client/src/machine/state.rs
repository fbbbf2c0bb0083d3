//! What the machine remembers, and the words in which it speaks with its caller.
use super::queue::Queue;
use crate::config::Limits;
use slab::Slab;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// How many requests a multiplexed connection probably takes at once, until the server has said it.
/// RFC 9113, section 6.5.2, recommends that it be no fewer than 100.
pub(crate) const MULTIPLEXED: usize = 100;

/// An index, and a number that makes it unique: what is freed is never mistaken for its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) index: usize,
    pub(super) number: u64,
}

pub(crate) type OriginId = Id;
pub(crate) type ConnId = Id;
pub(crate) type WaiterId = Id;

#[derive(Debug)]
pub(crate) struct Machine {
    pub(super) limits: Limits,
    pub(super) origins: Slab<OriginState>,
    pub(super) conns: Slab<Conn>,
    pub(super) waiters: Slab<Waiter>,
    /// Origins that want a connection in vain, because of the cap in all. The key is the number of
    /// the first waiter that would get one, so the order is first-come.
    pub(super) blocked: BTreeMap<u64, OriginId>,
    pub(super) grants: VecDeque<(WaiterId, Granted)>,
    pub(super) forgotten: VecDeque<OriginId>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) numbers: u64,
    pub(super) random: fastrand::Rng,
    /// How many connections close because of [`Effect::Close`].
    pub(super) closing: usize,
    /// No client is left: a connection closes as soon as nobody needs it.
    pub(super) is_shut_down: bool,
    pub(super) counts: Counts,
}

/// How many connections and requests there are: [`Client::counts`](crate::Client::counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Open connections without a request.
    pub idle: usize,
    /// Connections with requests in flight, upgraded ones, and those that are closing.
    pub active: usize,
    /// Attempts to connect.
    pub connecting: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
    /// Attempts to connect so far.
    pub opened: u64,
    /// Requests so far that got a connection that had carried one before.
    pub reused: u64,
    /// How often a request was sent again.
    pub retried: u64,
}

/// What the caller does after an input, at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Connect to the origin. Later: `connected` or `closed`.
    Open(ConnId, OriginId),
    /// Close this connection. Later: `closed`.
    Close(ConnId),
}

/// A connection for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) conn: ConnId,
    /// It has been idle, so the server may have closed it.
    pub(crate) was_idle: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkout {
    Granted(Granted),
    Wait(WaiterId),
}

#[derive(Debug)]
pub(super) struct OriginState {
    pub(super) number: u64,
    /// Connections that can take a request. The last one is taken first, so that surplus ones stay
    /// idle and expire.
    pub(super) available: Vec<ConnId>,
    pub(super) queue: Queue,
    /// All connections, attempts included.
    pub(super) conns: usize,
    /// Attempts, and connections whose capacity is not yet known.
    pub(super) promised: usize,
    /// How many requests a new connection will probably take: as many as the last one.
    pub(super) capacity: usize,
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) number: u64,
    pub(super) origin: OriginId,
    pub(super) phase: Phase,
    pub(super) in_use: usize,
    pub(super) capacity: usize,
    /// It is counted in `promised`.
    pub(super) is_promise: bool,
    pub(super) was_used: bool,
    /// It has been idle, so the server may have closed it.
    pub(super) was_idle: bool,
    /// Since when it has had no request. `None` until it has connected.
    pub(super) idle_since: Option<Instant>,
    pub(super) idle_timeout: Duration,
    /// The end of its maximum age.
    pub(super) retire_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Open,
    /// It gets no more requests.
    Retired,
    /// As `Retired`, and the caller has been asked to close it.
    Closing,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) number: u64,
    pub(super) origin: OriginId,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Queued,
    Granted(ConnId),
    /// It gets an error.
    Failed,
}
