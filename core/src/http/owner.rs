//! What a request and its response know of the connection that they belong to.
use super::{detect::Version, turn::Answering};
use crate::engine::ConnState;
use std::sync::Arc;

/// The connection that a request belongs to; held to the end of its response.
///
/// An HTTP/1 connection polls its requests itself, one after another, so most of them need no reference to it.
pub(super) enum Owner {
    /// The connection whose turn it is.
    Http1(Answering),
    /// The same, for a request that may upgrade it, or that has a hook or a deadline.
    Http1Known(Answering, Arc<ConnState>),
    /// An HTTP/2 stream's, in a task of its own; it counts by itself.
    Stream(Arc<ConnState>),
}

impl Owner {
    /// `upgrades`: the connection may become something else by this request.
    pub(super) fn new(upgrades: bool, connection: &Arc<ConnState>, version: Version) -> Self {
        let config = &connection.worker.shared.config;
        match version {
            Version::Http2 => Self::Stream(Arc::clone(connection)),
            Version::Http1 if upgrades || config.has_request_hooks() => {
                Self::Http1Known(Answering::begin(), Arc::clone(connection))
            }
            Version::Http1 => Self::Http1(Answering::begin()),
        }
    }

    /// The connection, if it's an HTTP/2 stream's, may be upgraded, or has a hook or a deadline for requests.
    pub(super) fn connection(&self) -> Option<&ConnState> {
        match self {
            Self::Http1(_) => None,
            Self::Http1Known(_, connection) | Self::Stream(connection) => Some(connection),
        }
    }

    /// Whether it's an HTTP/2 stream, in a task of its own.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// Whether the response says so. HTTP/2 has a frame of its own for it.
    pub(super) fn tells_to_leave(&self) -> bool {
        match self {
            Self::Http1(answering) | Self::Http1Known(answering, _) => answering.tells_to_leave(),
            Self::Stream(_) => false,
        }
    }

    #[cold]
    pub(super) fn panicked(&self, message: &str) {
        match self {
            Self::Http1(answering) => answering.panicked(message),
            Self::Http1Known(_, connection) | Self::Stream(connection) => connection.panicked(message),
        }
    }
}
