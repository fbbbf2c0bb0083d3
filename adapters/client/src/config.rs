//! The settings of a client.
use crate::machine::MULTIPLEXED;
use std::time::Duration;

/// The settings of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) is_http2_only: bool,
    pub(crate) does_not_retry: bool,
}

/// How many connections a client keeps, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_per_origin: usize,
    pub(crate) max_total: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_per_origin: 64,
            max_total: 1024,
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
        }
    }
}

/// The timeouts of a request. `Duration::MAX` is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) queue: Duration,
    pub(crate) head: Duration,
    pub(crate) body: Duration,
    pub(crate) whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            queue: Duration::from_secs(30),
            head: Duration::MAX,
            body: Duration::MAX,
            whole: Duration::MAX,
        }
    }
}

impl Config {
    /// How many requests a connection will probably take at once, before the first one has told.
    pub(crate) fn expected_capacity(&self) -> usize {
        if self.is_http2_only { MULTIPLEXED } else { 1 }
    }
}
