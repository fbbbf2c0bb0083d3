//! The input of the state machine: observations of the connection, and the server's rules.
use crate::{
    config::Timeouts,
    engine::{ConnState, DrainBound, Stage},
    http::detect::Version,
};
use std::time::{Duration, Instant};

/// Counters of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct Counts {
    pub(in crate::http) requests: u32,
    pub(in crate::http) reads: u32,
    /// Writes that are part of a response.
    pub(in crate::http) responses: u32,
}

/// Observations of a connection after a poll of hyper.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Seen {
    pub(in crate::http) version: Version,
    pub(in crate::http) counts: Counts,
    /// A response is being made or sent.
    pub(in crate::http) is_answering: bool,
    /// A request's body is being read.
    pub(in crate::http) is_uploading: bool,
    /// The number of writes, if the client accepts nothing now.
    pub(in crate::http) blocked_at: Option<u32>,
    /// Hyper has been polled again after the latest request.
    pub(in crate::http) was_idle: bool,
    /// A client was offered an upgrade. Hyper then does not return the I/O object.
    pub(in crate::http) was_offered_upgrade: bool,
}

/// The server's timeouts and its stage.
#[derive(Clone, Copy, Debug)]
pub(in crate::http) struct Rules<'a> {
    pub(in crate::http) timeouts: &'a Timeouts,
    pub(in crate::http) hibernate_after: Duration,
    pub(in crate::http) accepted_at: Instant,
    pub(in crate::http) stage: Stage,
    /// In a drain: its limits.
    pub(in crate::http) drain: Option<DrainBound>,
}

impl Seen {
    /// For a connection without hyper.
    pub(in crate::http) fn nothing() -> Self {
        Self {
            version: Version::Http1,
            counts: Counts::default(),
            is_answering: false,
            is_uploading: false,
            blocked_at: None,
            was_idle: true,
            was_offered_upgrade: false,
        }
    }
}

impl<'a> Rules<'a> {
    pub(in crate::http) fn of(state: &'a ConnState) -> Self {
        Self {
            timeouts: state.timeouts(),
            hibernate_after: state.config().http.hibernate_after,
            accepted_at: state.accepted_at,
            stage: state.stage(),
            drain: state.worker.drain_bound(),
        }
    }
}
